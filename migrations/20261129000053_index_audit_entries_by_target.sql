-- no-transaction
-- The entries of an object, newest first. The other filters are checked in the index.
create index concurrently if not exists audit_entry_target_idx
    on telecom.audit_entry (target_kind, target_id, created_at, id) include (actor_user_id, action);
