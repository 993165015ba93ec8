-- Since when servers were not judged (the job did not run, or nobody was heard), until it is settled by what was kept of
-- that time what they were meanwhile.
alter table telecom.node_status_watch add column unsettled_from timestamptz;
