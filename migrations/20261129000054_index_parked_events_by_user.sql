-- no-transaction
-- The parked events of a user, oldest first.
create index concurrently if not exists parked_event_user_idx on telecom.parked_event (user_id, id);
