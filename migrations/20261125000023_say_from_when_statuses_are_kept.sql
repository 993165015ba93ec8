-- What was before is forgotten: nobody knows it any more.
alter table telecom.node_status_seal add column kept_from timestamptz not null default '-infinity';
