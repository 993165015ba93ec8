-- Old usage is deleted by time. Rows come in about that order, which is all that so small an index needs.
create index user_package_usage_bucket_start_idx on telecom.user_package_usage using brin (bucket_start)
    with (autosummarize = on);
