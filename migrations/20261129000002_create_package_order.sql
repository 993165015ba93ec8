-- A retired package is sold no more. Items that were delivered stay as they are.
alter table telecom.package
    add column retired_at timestamptz,
    add constraint package_retired_check check (not (is_master and retired_at is not null)) not valid;

-- Orders of packages, each delivered once. A cancellation that arrives before its order is kept, so that the order delivers
-- nothing.
create table telecom.package_order (
    order_id     uuid constraint package_order_pk primary key,
    user_id      uuid,
    series       uuid,
    amount       integer,
    package_id   bigint constraint package_order_package_fk references telecom.package,
    received_at  timestamptz not null,
    cancelled_at timestamptz,
    constraint package_order_amount_check check (amount between 1 and 120),
    constraint package_order_delivered_check
        check (num_nulls(user_id, series, amount) in (0, 3) and (user_id is not null or cancelled_at is not null))
);
