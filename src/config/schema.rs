//! The network's file as a JSON Schema, so that an editor can complete keys and mark mistakes while they
//! are typed. It is made of the parser's own table of keys and of the template's comments.

use crate::keys::{Form, Keys, TOP};
use crate::template::comments;
use serde_json::{Map, Value, json};

/// The JSON Schema (2020-12) of a network's file. What it refuses [`crate::read`] refuses; of two keys that
/// contradict each other it knows nothing.
#[must_use]
pub fn schema() -> Value {
    let mut schema = table(&TOP);
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("A network of vmnet"));
    schema.insert("description".to_owned(), json!("/etc/vmnet/networks/NAME.toml, see vmnet.toml(5)"));
    schema.into()
}

fn table(keys: &Keys) -> Map<String, Value> {
    let comments = comments();
    let property = |key: &crate::keys::Key| {
        let mut property = form(&key.form);
        let is_it =
            |(section, name, _): &&(&str, &str, String)| *section == keys.section && *name == key.name;
        if let Some((_, _, comment)) =
            comments.iter().find(is_it).filter(|(_, _, comment)| !comment.is_empty())
        {
            property.insert("description".to_owned(), json!(comment));
        }
        (key.name.to_owned(), Value::from(property))
    };
    let properties: Map<_, _> = keys.known.iter().map(property).collect();
    let mut table = object(json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    }));
    if !keys.needed.is_empty() {
        table.insert("required".to_owned(), json!(keys.needed));
    }
    table
}

fn form(form: &Form) -> Map<String, Value> {
    object(match form {
        Form::Switch => json!({ "type": "boolean" }),
        Form::Words(words) => json!({ "enum": words() }),
        Form::Number(range) => {
            json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() })
        }
        Form::Text(pattern) => json!({ "type": "string", "pattern": pattern() }),
        Form::Either(forms) => json!({ "anyOf": forms.iter().map(self::form).collect::<Vec<_>>() }),
        Form::List(item, 0) => json!({ "type": "array", "items": self::form(item) }),
        Form::List(item, least) => {
            json!({ "type": "array", "items": self::form(item), "minItems": least })
        }
        Form::Section(keys) => table(keys).into(),
        Form::Sections(keys) => json!({ "type": "array", "items": table(keys) }),
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
pub(crate) use tests::objections;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::{lab, networks};
    use crate::written::written;
    use crate::{read, template};
    use jsonschema::Validator;
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::LazyLock;
    use toml::de::{DeTable, DeValue};

    /// A TOML text as JSON, as an editor hands it to a validator.
    fn as_json(value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => json!(text),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
            }
            DeValue::Float(number) => json!(number.as_str().parse::<f64>().unwrap()),
            DeValue::Boolean(is) => json!(is),
            DeValue::Datetime(time) => json!({ "datetime": time.to_string() }),
            DeValue::Array(items) => items.iter().map(|item| as_json(item.get_ref())).collect(),
            DeValue::Table(table) => table
                .iter()
                .map(|(key, value)| (key.get_ref().to_string(), as_json(value.get_ref())))
                .collect::<Map<_, _>>()
                .into(),
        }
    }

    /// The places of a text that the schema does not take.
    pub(crate) fn objections(text: &str) -> Vec<String> {
        static VALIDATOR: LazyLock<Validator> =
            LazyLock::new(|| jsonschema::draft202012::new(&schema()).unwrap());
        let table = DeTable::parse(text).unwrap();
        let instance = as_json(&DeValue::Table(table.into_inner()));
        VALIDATOR.iter_errors(&instance).map(|error| error.instance_path().to_string()).collect()
    }

    /// The path and name of every property.
    fn properties(schema: &Value, path: &str, all: &mut Vec<String>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let inner = format!("{path}{name}");
            properties(property, &format!("{inner}."), all);
            properties(&property["items"], &format!("{inner}[]."), all);
            all.push(inner);
        }
    }

    #[test]
    fn it_is_a_schema_and_the_one_in_conf() {
        jsonschema::draft202012::meta::validate(&schema()).unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/network.schema.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, format!("{:#}\n", schema())).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{:#}\n", schema()));
    }

    #[test]
    fn each_of_its_keys_is_read_and_each_key_that_is_read_is_in_it() {
        let mut all = Vec::new();
        properties(&schema(), "", &mut all);
        assert!(all.len() > 40, "{all:?}");
        for path in &all {
            // No key takes a date.
            let text = match path.split_once("[].") {
                Some((section, key)) => format!("[[{section}]]\n{key} = 1979-05-27\n"),
                None => format!("{path} = 1979-05-27\n"),
            };
            let mistakes = read(lab(), "f", &text).unwrap_err();
            let about = |words: &str| mistakes.iter().any(|mistake| mistake.message.contains(words));
            assert!(about("a date or time") && !about("unknown key"), "{path}: {mistakes:?}");
            assert!(!objections(&text).is_empty(), "{path}");
        }
        // The other way round `Section::get` sees to it, which lets no key be read that is not in the table.
        let read_by_template = crate::template::comments().len();
        assert_eq!(all.len(), read_by_template);
    }

    #[test]
    fn what_the_files_here_show_it_takes() {
        let fresh = template(&lab());
        let shown = fresh.lines().map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') || rest.contains(" = ") && !rest.contains('`') => rest,
            _ => line,
        });
        let shown: Vec<_> = shown.collect();
        for text in [&fresh, &shown.join("\n"), "", include_str!("golden/good.toml")] {
            assert_eq!(objections(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_mistake_that_needs_only_one_key_is_marked_where_it_is() {
        for (text, place) in [
            ("mtuu = 1500", ""),
            ("mtu = 575", "/mtu"),
            ("mtu = '1500'", "/mtu"),
            ("mode = 'bridged'", "/mode"),
            ("subnet = '10.0.1.0'", "/subnet"),
            ("subnet = '10.0.1.0/30'", "/subnet"),
            ("subnet = '10.0.256.0/24'", "/subnet"),
            ("subnet6 = 'fd00::/48'", "/subnet6"),
            ("more_subnets = ['auto']", "/more_subnets/0"),
            ("idle = '10'", "/idle"),
            ("guard = 1", "/guard"),
            ("allow_from = ['lab', 'a b']", "/allow_from/1"),
            ("dhcp = []", "/dhcp"),
            ("dhcp.lease_time = 3600", "/dhcp/lease_time"),
            ("dns.regster = true", "/dns"),
            ("limits.to_guest = '50mbps'", "/limits/to_guest"),
            ("host = { name = 'a', mac = '02:00:00:00:00:01' }", "/host"),
            ("[[host]]\nname = 'a'", "/host/0"),
            ("[[host]]\nname = '7'\nmac = '02:00:00:00:00:01'", "/host/0/name"),
            ("[[host]]\nname = 'a'\nmac = '02-00-00-00-00-01'", "/host/0/mac"),
            ("[[forward]]\nlisten = 0\nto = 'web'", "/forward/0/listen"),
            ("[[forward]]\nlisten = 80\nto = 'web'\nprotocol = 'sctp'", "/forward/0/protocol"),
            ("vde = true", "/vde"),
            ("vde.socket = 'vde'", "/vde/socket"),
            ("vde.create = 'yes'", "/vde/create"),
            ("vde.group = '7'", "/vde/group"),
            ("vde.mode = '0760'", "/vde/mode"),
            ("vde.ports = 0", "/vde/ports"),
            ("vde.num_switchports = 32", "/vde"),
            ("[[link]]\nfrom = 'a'\nto = 'b'\nports = []", "/link/0/ports"),
            ("[[link]]\nfrom = 'a'\nto = 'b'\nports = [80, 'http']", "/link/0/ports/1"),
        ] {
            assert!(read(lab(), "f", text).is_err(), "{text}");
            assert_eq!(objections(text), [place], "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_parser_takes_it_takes(network in networks()) {
            let text = written(&network);
            prop_assert_eq!(objections(&text), [""; 0], "{}", text);
        }
    }
}
