create schema telecom;

create type telecom.node_server_status as enum ('online', 'offline', 'maintenance');
create type telecom.node_server_compatibility as enum ('new_v2b', 'ssp');
create type telecom.package_queue_status as enum ('in_queue', 'active', 'consumed', 'cancelled');
create type telecom.package_end_reason as enum ('time', 'traffic', 'cancelled');
create type telecom.outbox_destination as enum ('user_usage_billing', 'package_expiring', 'event_bus');
