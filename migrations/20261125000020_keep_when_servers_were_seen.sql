-- When a report shows its server alive: the end of its period, but not after it was sent. None: `period_end`, but not after
-- it arrived. Late reports correct the log of statuses by it, and are found by their arrival, each minute: that takes an
-- exact index where old ones could be deleted by a coarse one.
alter table telecom.usage_report add column seen_at timestamptz;
create index usage_report_arrival_idx on telecom.usage_report (received_at);
drop index telecom.usage_report_received_at_idx;
