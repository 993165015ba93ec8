-- no-transaction
create index concurrently if not exists online_address_node_client_idx on telecom.online_address (node_client_id);
