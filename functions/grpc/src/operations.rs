//! Names of the operations, for logs and metrics.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message;
use prost_types::FileDescriptorSet;

/// Names of the known methods by path.
static METHODS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let mut methods = HashMap::new();
    for set in [
        proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
    ] {
        for file in FileDescriptorSet::decode(set).unwrap_or_default().file {
            for service in &file.service {
                let path =
                    |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
                methods.extend(
                    service
                        .method
                        .iter()
                        .map(|method| (path(method.name()), method.name().to_owned())),
                );
            }
        }
    }
    methods
});

/// Name of the method at `path`, such as `ListNodes`. Other paths are text from the client and are
/// called `unknown`.
pub fn name_of(path: &str) -> &'static str {
    METHODS.get(path).map_or("unknown", String::as_str)
}
