//! The list of all endpoints.

/// Calls a macro with the type of every endpoint.
#[macro_export]
macro_rules! for_each_endpoint {
    ($visit:ident) => {
        $visit!($crate::http::traffic_usage::TrafficUsage);
        $visit!($crate::http::node_status_history::NodeStatusHistory);
        $visit!($crate::http::usually_used_nodes::UsuallyUsedNodes);
        $visit!($crate::http::nodes::Nodes);
        $visit!($crate::http::node_servers::NodeServers);
        $visit!($crate::http::node_servers::NodeServer);
        $visit!($crate::http::node_servers::NodeServerAvailability);
        $visit!($crate::http::node_servers::NodeServerMaintenance);
        $visit!($crate::http::node_clients::NodeClients);
        $visit!($crate::http::node_clients::NodeClient);
        $visit!($crate::http::package_queue::PackageQueueCounts);
        $visit!($crate::http::package_queue::PackageQueue);
    };
}
