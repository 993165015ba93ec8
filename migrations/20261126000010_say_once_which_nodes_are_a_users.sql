-- The node clients that each user's active package opens, said once for all who ask. A plain join: the planner looks into
-- it, and reads by the user, the server or the client that is asked for.
create view telecom.user_node_client as
select q.user_id, c.id, c.node_server_id, c.name, c.traffic_factor, c.display_order, c.speed_limit_bits_per_second,
    c.country, c.location, c.route_class
from telecom.package_queue q
join telecom.package p on p.id = q.package_id
join telecom.node_client c on c.access_groups @> array[p.available_group]
where q.status = 'active';
