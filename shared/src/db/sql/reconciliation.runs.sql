/* reconciliation.runs */
with difference as (
    select run.id,
        telecom.byte_difference(run.raw_upload_bytes, raw.raw_upload) as raw_upload,
        telecom.byte_difference(run.raw_download_bytes, raw.raw_download) as raw_download,
        telecom.byte_difference(run.billed_upload_bytes, raw.billed_upload) as billed_upload,
        telecom.byte_difference(run.billed_download_bytes, raw.billed_download)
            as billed_download
    from telecom.billing_run run
    cross join lateral (
        select sum(upload) as raw_upload, sum(download) as raw_download,
            sum(round(upload_charge)) as billed_upload,
            sum(round(download_charge)) as billed_download
        from (
            select sum(upload) as upload, sum(download) as download,
                sum(upload * traffic_factor) as upload_charge,
                sum(download * traffic_factor) as download_charge
            from (
                -- By factor first, because sums of whole numbers cost half as much as sums of
                -- products.
                select u.user_id, u.node_client_id, r.node_server_id, r.hour, u.traffic_factor,
                    sum(u.upload_bytes) as upload, sum(u.download_bytes) as download
                from (
                    select seq, received_at, node_server_id,
                        date_trunc(
                            'hour',
                            greatest(period_end - interval '1 microsecond', period_start),
                            'UTC'
                        ) as hour
                    from telecom.usage_report
                    where billing_run_id = run.id
                    offset 0
                ) r
                cross join lateral (
                    -- Not a join, so that each report is looked up by the index of the one
                    -- partition of its arrival.
                    select * from telecom.traffic_usage t
                    where t.usage_report_seq = r.seq and t.received_at = r.received_at
                    offset 0
                ) u
                group by u.user_id, u.node_client_id, r.node_server_id, r.hour, u.traffic_factor
            ) of_factor
            group by user_id, node_client_id, node_server_id, hour
        ) folded
    ) raw
    where run.id = any($1) and run.claimed_at >= $2
)
select id, raw_upload as "raw_upload!", raw_download as "raw_download!",
    billed_upload as "billed_upload!", billed_download as "billed_download!"
from difference
where (raw_upload, raw_download, billed_upload, billed_download) <> (0, 0, 0, 0)
