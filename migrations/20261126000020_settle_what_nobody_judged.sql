-- Since when servers were not judged, until `heard_from`: the job did not run, or nobody was heard. What they were
-- meanwhile is settled by what comes later of that time, each time that something does.
alter table telecom.node_status_watch
    add column unjudged_from timestamptz,
    add column is_settled    boolean not null default true;
