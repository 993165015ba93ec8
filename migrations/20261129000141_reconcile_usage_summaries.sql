-- The sums of hourly usage are reconciled, too.
alter table telecom.usage_drift drop constraint usage_drift_kind_check;
alter table telecom.usage_drift add constraint usage_drift_kind_check
    check (kind in ('hour', 'uncharged', 'item', 'run', 'applied', 'node_hour', 'user_day'));
