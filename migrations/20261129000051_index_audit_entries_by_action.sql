-- no-transaction
-- The entries of an action, newest first.
create index concurrently if not exists audit_entry_action_idx on telecom.audit_entry (action, created_at, id);
