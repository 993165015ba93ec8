-- Partitions of the raw rows, a UTC day each. Called by `migrate` and by `maintain-storage`; a repeat does nothing.
create function telecom.create_traffic_usage_partitions(first_day date, days integer) returns integer
language plpgsql set lock_timeout = '5s' as $$
declare
    day     date;
    created integer := 0;
begin
    for day in select first_day + n from generate_series(0, days - 1) n loop
        if to_regclass(format('telecom.traffic_usage_%s', to_char(day, 'YYYYMMDD'))) is null then
            execute format(
                'create table telecom.traffic_usage_%s partition of telecom.traffic_usage for values from (%L) to (%L)',
                to_char(day, 'YYYYMMDD'), day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
            created := created + 1;
        end if;
    end loop;
    return created;
end $$;

-- Drops the partitions of days before `first_kept_day`, except one that still holds rows to be billed.
create function telecom.drop_traffic_usage_partitions(first_kept_day date) returns integer
language plpgsql set lock_timeout = '5s' as $$
declare
    partition record;
    dropped   integer := 0;
begin
    for partition in
        select c.relname, to_date(right(c.relname, 8), 'YYYYMMDD') as day
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'telecom.traffic_usage'::regclass
        order by 1
    loop
        continue when partition.day >= first_kept_day;
        continue when exists (
            select from telecom.usage_report r
            where r.billing_run_id is null and r.line_count > 0
                and r.received_at >= partition.day::timestamp at time zone 'UTC'
                and r.received_at < (partition.day + 1)::timestamp at time zone 'UTC');
        execute format('drop table telecom.%I', partition.relname);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;
