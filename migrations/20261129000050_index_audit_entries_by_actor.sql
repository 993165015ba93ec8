-- no-transaction
-- The entries of a caller, newest first.
create index concurrently if not exists audit_entry_actor_idx on telecom.audit_entry (actor_user_id, created_at, id);
