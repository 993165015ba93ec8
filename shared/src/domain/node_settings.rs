//! What administrators set for a node server or a node client.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::node::NodeServerCompatibility;
use super::{LABEL_PATTERN, LINE_PATTERN, MAX_NODE_ID, line, node_config, node_id, secret, within};
use crate::error::Error;

/// Maximum length of the name of a server or a client, in characters.
const MAX_NAME: usize = 200;
/// Maximum length of a location or a class of route, in characters.
const MAX_LABEL: usize = 100;
/// Maximum number of access groups of a client.
const MAX_GROUPS: usize = 100;
/// Maximum speed limit, in bits per second.
const MAX_SPEED: i64 = 1_000_000_000_000_000;
/// Maximum number of objects and lists in a configuration that contain each other.
const MAX_DEPTH: usize = 30;
/// Maximum size of a configuration as JSON, in bytes.
const MAX_CONFIG_BYTES: usize = 65_536;
/// Greatest number in a configuration, which every reader of JSON accepts.
const MAX_NUMBER: f64 = 1e308;

/// Settings of a node server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeServerSettings {
    /// Display name, one line of 1 to 200 characters.
    #[schemars(length(min = 1, max = MAX_NAME), regex(pattern = LINE_PATTERN))]
    pub name: String,
    /// Panel protocol of the server.
    pub compatibility: NodeServerCompatibility,
    /// Configuration of the server's software. A value must not be the mask `********`.
    #[serde(default)]
    pub server_config: Map<String, Value>,
}

/// Settings of a node client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeClientSettings {
    /// Id of the node server that carries the client's traffic.
    #[schemars(range(min = 1, max = MAX_NODE_ID))]
    pub server_id: i32,
    /// Display name, one line of 1 to 200 characters.
    #[schemars(length(min = 1, max = MAX_NAME), regex(pattern = LINE_PATTERN))]
    pub name: String,
    /// Bytes charged per byte carried, 0 to 100, with up to four decimal places. It applies to the
    /// reports that arrive after the change.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100))]
    pub traffic_factor: f64,
    /// Position in the lists of users, ascending.
    #[serde(default)]
    #[schemars(range(min = i32::MIN, max = i32::MAX))]
    pub display_order: i32,
    /// Speed limit in bits per second. `null` if there is none.
    #[serde(default)]
    #[schemars(range(min = 1, max = MAX_SPEED))]
    pub speed_limit: Option<i64>,
    /// Country code, ISO 3166-1 alpha-2, in capital letters.
    #[schemars(extend("enum" = COUNTRIES.split(' ').collect::<Vec<_>>()))]
    pub country: String,
    /// City or region, at most 100 characters. It may be empty.
    #[serde(default)]
    #[schemars(length(max = MAX_LABEL), regex(pattern = LABEL_PATTERN))]
    pub location: String,
    /// Class of the network route, at most 100 characters. It may be empty.
    #[serde(default)]
    #[schemars(length(max = MAX_LABEL), regex(pattern = LABEL_PATTERN))]
    pub route_class: String,
    /// Groups whose packages give access to the client, at most 100.
    #[serde(default)]
    #[schemars(length(max = MAX_GROUPS), inner(range(min = 0, max = MAX_NODE_ID)))]
    pub access_groups: Vec<i32>,
    /// Route configuration. A value must not be the mask `********`.
    #[serde(default)]
    pub client_config: Map<String, Value>,
}

fn one() -> f64 {
    1.0
}

/// Settings that can be created and updated.
pub trait Settings: Serialize + DeserializeOwned {
    /// Name of the field with the configuration, which contains secrets.
    const CONFIG: &'static str;

    /// Returns the settings with their texts trimmed, or an error for the first invalid field.
    fn checked(self) -> Result<Self, Error>;
}

impl Settings for NodeServerSettings {
    const CONFIG: &'static str = "server_config";

    fn checked(self) -> Result<Self, Error> {
        let name = line("name", &self.name, MAX_NAME)?;
        check_config(Self::CONFIG, &self.server_config)?;
        node_config::check_server(self.compatibility, &self.server_config)?;
        Ok(Self { name, ..self })
    }
}

impl Settings for NodeClientSettings {
    const CONFIG: &'static str = "client_config";

    fn checked(mut self) -> Result<Self, Error> {
        node_id("server_id", self.server_id)?;
        check_factor("traffic_factor", self.traffic_factor)?;
        if let Some(speed) = self.speed_limit {
            within("speed_limit", speed, 1, MAX_SPEED)?;
        }
        let is_country = COUNTRIES.split(' ').any(|country| country == self.country);
        if !is_country {
            let accepted = "a country code of ISO 3166-1 alpha-2 in capital letters, such as DE";
            return Err(Error::parameter("country", accepted));
        }
        for group in &self.access_groups {
            within("access_groups", (*group).into(), 0, MAX_NODE_ID)?;
        }
        self.access_groups.sort_unstable();
        self.access_groups.dedup();
        if self.access_groups.len() > MAX_GROUPS {
            let accepted = format!("at most {MAX_GROUPS} groups");
            return Err(Error::parameter("access_groups", &accepted));
        }
        check_config(Self::CONFIG, &self.client_config)?;
        Ok(Self {
            name: line("name", &self.name, MAX_NAME)?,
            location: label("location", &self.location)?,
            route_class: label("route_class", &self.route_class)?,
            ..self
        })
    }
}

/// A label may be empty.
fn label(field: &str, text: &str) -> Result<String, Error> {
    match text.trim() {
        "" => Ok(String::new()),
        text => line(field, text, MAX_LABEL),
    }
}

/// Refuses a traffic factor in `field` that the database cannot store exactly.
pub fn check_factor(field: &str, factor: f64) -> Result<(), Error> {
    let units = factor * 10_000.0;
    // Four decimal places are exact in the database. In binary they are nearly so.
    let is_exact = (units - units.round()).abs() < 1e-6;
    if (0.0..=100.0).contains(&factor) && is_exact {
        return Ok(());
    }
    let accepted = "a number from 0 to 100 with at most four decimal places";
    Err(Error::parameter(field, accepted))
}

/// Checks a configuration for values that could not be stored or read again.
fn check_config(field: &str, config: &Map<String, Value>) -> Result<(), Error> {
    let size = serde_json::to_string(config).map_or(usize::MAX, |text| text.len());
    let accepted = if size > MAX_CONFIG_BYTES {
        format!("a configuration of at most {MAX_CONFIG_BYTES} bytes as JSON")
    } else if !config.values().all(|value| is_readable(value, 1)) {
        format!(
            "objects and lists nested at most {MAX_DEPTH} deep, numbers from -1e308 to 1e308, and \
             texts without the character U+0000"
        )
    } else if config.values().any(contains_mask) {
        "the secret itself instead of its mask; leave out what does not change".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::parameter(field, &accepted))
}

fn is_readable(value: &Value, depth: usize) -> bool {
    let inner = |value: &Value| is_readable(value, depth.saturating_add(1));
    match value {
        Value::Number(number) => number
            .as_f64()
            .is_some_and(|number| number.abs() <= MAX_NUMBER),
        Value::String(text) => !text.contains('\0'),
        Value::Array(values) => depth < MAX_DEPTH && values.iter().all(inner),
        Value::Object(fields) => {
            depth < MAX_DEPTH
                && fields.keys().all(|name| !name.contains('\0'))
                && fields.values().all(inner)
        }
        Value::Null | Value::Bool(_) => true,
    }
}

fn contains_mask(value: &Value) -> bool {
    match value {
        Value::String(text) => text == secret::MASK,
        Value::Array(values) => values.iter().any(contains_mask),
        Value::Object(fields) => fields.values().any(contains_mask),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The officially assigned codes of ISO 3166-1 alpha-2.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI \
     BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY \
     CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN \
     GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH \
     KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
     MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL \
     PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV \
     SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN \
     VU WF WS YE YT ZA ZM ZW";

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn client() -> NodeClientSettings {
        serde_json::from_value(json!({ "server_id": 1, "name": " a ", "country": "DE" })).unwrap()
    }

    fn patch(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_client_is_created_from_few_fields() {
        let client = client().checked().unwrap();
        assert_eq!((client.name.as_str(), client.traffic_factor), ("a", 1.0));
        assert_eq!(client.speed_limit, None);
    }

    #[rstest]
    #[case(json!({ "traffic_factor": 0.00005 }), "traffic_factor")]
    #[case(json!({ "traffic_factor": 100.1 }), "traffic_factor")]
    #[case(json!({ "traffic_factor": -1 }), "traffic_factor")]
    #[case(json!({ "speed_limit": 0 }), "speed_limit")]
    #[case(json!({ "country": "de" }), "country")]
    #[case(json!({ "country": "XX" }), "country")]
    #[case(json!({ "name": "" }), "name")]
    #[case(json!({ "location": "a\nb" }), "location")]
    #[case(json!({ "access_groups": [-1] }), "access_groups")]
    #[case(json!({ "server_id": 0 }), "server_id")]
    #[case(json!({ "client_config": { "a": ["********"] } }), "client_config")]
    #[case(json!({ "client_config": { "a": 1.7e308 } }), "client_config")]
    #[case(json!({ "client_config": { "a": "\u{0}" } }), "client_config")]
    fn an_invalid_field_is_named(#[case] change: Value, #[case] field: &str) {
        let mut settings = serde_json::to_value(client()).unwrap();
        json_patch::merge(&mut settings, &change);
        let settings: NodeClientSettings = serde_json::from_value(settings).unwrap();
        let error = settings.checked().unwrap_err();
        assert_eq!(error.field(), Some(field), "{error}");
    }

    #[rstest]
    #[case(0.0)]
    #[case(0.1)]
    #[case(0.3333)]
    #[case(2.5)]
    #[case(99.9999)]
    #[case(100.0)]
    fn factors_with_four_decimal_places_are_accepted(#[case] factor: f64) {
        check_factor("traffic_factor", factor).unwrap();
    }

    #[rstest]
    #[case(NodeServerCompatibility::NewV2b, json!({ "server_port": 0 }), Some("server_port"))]
    #[case(NodeServerCompatibility::NewV2b, json!({ "server_port": "443" }), Some("server_port"))]
    #[case(NodeServerCompatibility::NewV2b, json!({ "base_config": { "push_interval": 0 } }),
        Some("base_config.push_interval"))]
    #[case(NodeServerCompatibility::NewV2b, json!({ "server_port": 443, "other": 0 }), None)]
    #[case(NodeServerCompatibility::Ssp, json!({ "server_port": 0 }), None)]
    #[case(NodeServerCompatibility::Ssp, json!({ "custom_config": 1 }), Some("custom_config"))]
    fn the_configuration_fits_the_panel_protocol(
        #[case] compatibility: NodeServerCompatibility,
        #[case] config: Value,
        #[case] invalid: Option<&str>,
    ) {
        let settings = NodeServerSettings {
            name: "a".to_owned(),
            compatibility,
            server_config: patch(config),
        };
        let error = settings.checked().err();
        let field = error.as_ref().and_then(Error::field);
        assert_eq!(
            field,
            invalid
                .map(|name| format!("server_config.{name}"))
                .as_deref()
        );
    }

    #[test]
    fn a_configuration_is_nested_at_most_thirty_deep() {
        let nested = |depth| {
            let value = (1..depth).fold(json!(1), |inner, _| json!({ "a": inner }));
            check_config("server_config", &patch(json!({ "a": value })))
        };
        assert!(nested(MAX_DEPTH).is_ok());
        assert!(nested(MAX_DEPTH + 1).is_err());
    }
}
