-- Usage of a node client per UTC day: the sum of its rows in `node_usage_hourly`. `summarize-usage` writes both in one
-- statement. The nodes with the most traffic of a month are found from 30 rows per client instead of 720.
create table telecom.node_usage_daily (
    day                   date not null,
    node_server_id        integer not null,
    -- Null if the client is unknown.
    node_client_id        integer,
    raw_upload_bytes      bigint not null,
    raw_download_bytes    bigint not null,
    billed_upload_bytes   bigint not null,
    billed_download_bytes bigint not null,
    constraint node_usage_daily_key unique nulls not distinct (day, node_server_id, node_client_id)
);

alter table telecom.usage_drift drop constraint usage_drift_kind_check;
alter table telecom.usage_drift add constraint usage_drift_kind_check
    check (kind in ('hour', 'uncharged', 'item', 'run', 'applied', 'node_hour', 'node_day', 'user_day'));

-- `summarize-usage` waits until the existing hours are summed.
lock table telecom.node_usage_hourly in share row exclusive mode;

insert into telecom.node_usage_daily
select (bucket_start at time zone 'UTC')::date, node_server_id, node_client_id, sum(raw_upload_bytes)::bigint,
    sum(raw_download_bytes)::bigint, sum(billed_upload_bytes)::bigint, sum(billed_download_bytes)::bigint
from telecom.node_usage_hourly
where node_server_id is not null
group by 1, 2, 3;
