/* node_metrics.add */
insert into telecom.node_server_metrics_hourly as h (
    node_server_id, hour, samples,
    cpu_percent_samples, cpu_percent_sum, cpu_percent_max,
    memory_used_samples, memory_used_bytes_sum, memory_used_bytes_max, memory_total_bytes_max,
    disk_used_samples, disk_used_bytes_sum, disk_used_bytes_max, disk_total_bytes_max,
    load1_samples, load1_sum, load1_max,
    online_users_samples, online_users_sum, online_users_max,
    upload_samples, upload_bytes_per_second_sum, upload_bytes_per_second_max,
    download_samples, download_bytes_per_second_sum, download_bytes_per_second_max
)
select * from unnest(
    $1::int[], $2::timestamptz[], $3::bigint[],
    $4::bigint[], $5::float8[], $6::float8[],
    $7::bigint[], $8::float8[], $9::bigint[], $10::bigint[],
    $11::bigint[], $12::float8[], $13::bigint[], $14::bigint[],
    $15::bigint[], $16::float8[], $17::float8[],
    $18::bigint[], $19::float8[], $20::bigint[],
    $21::bigint[], $22::float8[], $23::bigint[],
    $24::bigint[], $25::float8[], $26::bigint[]
)
on conflict (node_server_id, hour) do update set
    samples = h.samples + excluded.samples,
    cpu_percent_samples = h.cpu_percent_samples + excluded.cpu_percent_samples,
    cpu_percent_sum = h.cpu_percent_sum + excluded.cpu_percent_sum,
    cpu_percent_max = greatest(h.cpu_percent_max, excluded.cpu_percent_max),
    memory_used_samples = h.memory_used_samples + excluded.memory_used_samples,
    memory_used_bytes_sum = h.memory_used_bytes_sum + excluded.memory_used_bytes_sum,
    memory_used_bytes_max = greatest(h.memory_used_bytes_max, excluded.memory_used_bytes_max),
    memory_total_bytes_max = greatest(h.memory_total_bytes_max, excluded.memory_total_bytes_max),
    disk_used_samples = h.disk_used_samples + excluded.disk_used_samples,
    disk_used_bytes_sum = h.disk_used_bytes_sum + excluded.disk_used_bytes_sum,
    disk_used_bytes_max = greatest(h.disk_used_bytes_max, excluded.disk_used_bytes_max),
    disk_total_bytes_max = greatest(h.disk_total_bytes_max, excluded.disk_total_bytes_max),
    load1_samples = h.load1_samples + excluded.load1_samples,
    load1_sum = h.load1_sum + excluded.load1_sum,
    load1_max = greatest(h.load1_max, excluded.load1_max),
    online_users_samples = h.online_users_samples + excluded.online_users_samples,
    online_users_sum = h.online_users_sum + excluded.online_users_sum,
    online_users_max = greatest(h.online_users_max, excluded.online_users_max),
    upload_samples = h.upload_samples + excluded.upload_samples,
    upload_bytes_per_second_sum
        = h.upload_bytes_per_second_sum + excluded.upload_bytes_per_second_sum,
    upload_bytes_per_second_max
        = greatest(h.upload_bytes_per_second_max, excluded.upload_bytes_per_second_max),
    download_samples = h.download_samples + excluded.download_samples,
    download_bytes_per_second_sum
        = h.download_bytes_per_second_sum + excluded.download_bytes_per_second_sum,
    download_bytes_per_second_max
        = greatest(h.download_bytes_per_second_max, excluded.download_bytes_per_second_max)
