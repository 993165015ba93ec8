-- Metrics of servers per hour: for each metric the number of values, their sum and the greatest one. Sums are floating
-- point numbers, so that no sum of valid values is out of range.
create table telecom.node_server_metrics_hourly (
    node_server_id                    integer          not null,
    hour                              timestamptz      not null,
    samples                           bigint           not null,
    cpu_percent_samples               bigint           not null,
    cpu_percent_sum                   double precision not null,
    cpu_percent_max                   double precision,
    memory_used_samples               bigint           not null,
    memory_used_bytes_sum             double precision not null,
    memory_used_bytes_max             bigint,
    memory_total_bytes_max            bigint,
    disk_used_samples                 bigint           not null,
    disk_used_bytes_sum               double precision not null,
    disk_used_bytes_max               bigint,
    disk_total_bytes_max              bigint,
    load1_samples                     bigint           not null,
    load1_sum                         double precision not null,
    load1_max                         double precision,
    online_users_samples              bigint           not null,
    online_users_sum                  double precision not null,
    online_users_max                  bigint,
    upload_samples                    bigint           not null,
    upload_bytes_per_second_sum       double precision not null,
    upload_bytes_per_second_max       bigint,
    download_samples                  bigint           not null,
    download_bytes_per_second_sum     double precision not null,
    download_bytes_per_second_max     bigint,
    constraint node_server_metrics_hourly_pk primary key (node_server_id, hour),
    constraint node_server_metrics_hourly_hour_check check (
        hour between '1970-01-01Z' and '9999-12-31Z' and hour = date_trunc('hour', hour, 'UTC')
    )
) with (fillfactor = 70);
create index node_server_metrics_hourly_hour_idx on telecom.node_server_metrics_hourly (hour);
