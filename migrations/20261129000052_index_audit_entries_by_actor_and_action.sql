-- no-transaction
-- The entries of a caller and an action, newest first. Without this index, a search for a rare action of a caller who
-- makes most of the entries would read all of them.
create index concurrently if not exists audit_entry_actor_action_idx
    on telecom.audit_entry (actor_user_id, action, created_at, id);
