-- Time that was added to an item after its activation. `expires_at` includes it, so that statements and indexes need no sum.
-- Existing rows have the default, so that nothing is left to validate.
alter table telecom.package_queue
    add column extended_seconds bigint not null default 0,
    add constraint package_queue_extended_check check (extended_seconds between 0 and 3155760000) not valid;

-- Extensions of all active items of an access group or of a series. A job extends the items in steps, and stores in each
-- step's transaction how far it came.
create table telecom.package_extension (
    id              uuid constraint package_extension_pk primary key,
    -- Items that are active at this instant are extended.
    created_at      timestamptz not null,
    actor_user_id   uuid not null,
    request_id      text,
    available_group integer,
    series          uuid,
    hours           integer not null,
    reason          text not null,
    -- Number of active items when the extension was created.
    item_count      bigint not null,
    -- The last item that was processed. The job goes through packages by id, and through the items of each by id.
    last_package_id bigint not null default 0,
    last_item_id    bigint not null default 0,
    extended_count  bigint not null default 0,
    completed_at    timestamptz,
    constraint package_extension_packages_check check (num_nonnulls(available_group, series) = 1),
    constraint package_extension_hours_check check (hours between 1 and 8760)
);

create index package_extension_incomplete_idx on telecom.package_extension (created_at, id) where completed_at is null;
