-- What servers were while no run of the refresh job evaluated them stays unknown. Functions no longer read or write
-- these two columns. The release after this one drops them, so that the functions of the release before still run.
comment on column telecom.node_status_watch.unjudged_from is 'Not used any more; dropped by the next release.';
comment on column telecom.node_status_watch.is_settled is 'Not used any more; dropped by the next release.';
comment on table telecom.collection_outage is
    'Times in which no server was observed: the collection was broken, or the refresh job did not run.';
