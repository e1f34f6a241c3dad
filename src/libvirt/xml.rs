//! libvirt's XML documents, as far as we care: which bridges a domain is on, its UUID and our own words in
//! its metadata; and the bridge that a network's port is on.

use super::domain::{Element, NAMESPACE, Told, ToldInterface};
use roxmltree::{Document, Node, ParsingOptions};

/// Most elements, attributes and texts of a document. libvirt's largest domains have some thousands.
const NODES_MAX: u32 = 100_000;

/// How deep our own elements may be nested; more is refused by whoever reads them.
const DEPTH_MAX: usize = 3;

/// A domain; none if the text is no domain's.
pub fn domain(text: &str) -> Option<Told> {
    let document = parse(text)?;
    let root = Some(document.root_element()).filter(|root| root.has_tag_name("domain"))?;
    let metadata = child(root, "metadata").into_iter().flat_map(|metadata| metadata.children());
    Some(Told {
        uuid: child(root, "uuid").and_then(|uuid| uuid.text()).unwrap_or_default().trim().to_owned(),
        interfaces: child(root, "devices")
            .into_iter()
            .flat_map(|devices| devices.children())
            .filter(|node| node.has_tag_name("interface"))
            .filter_map(interface)
            .collect(),
        metadata: metadata.filter(is_ours).map(|node| element(node, DEPTH_MAX)).collect(),
    })
}

/// The bridge that a port is on, of a network that only leads guests to a bridge; none otherwise.
pub fn port(text: &str) -> Option<String> {
    let document = parse(text)?;
    let root = Some(document.root_element()).filter(|root| root.has_tag_name("hookData"))?;
    let plug = child(child(root, "networkport")?, "plug")?;
    let bridge = Some(plug).filter(|plug| plug.attribute("type") == Some("bridge"))?.attribute("bridge")?;
    Some(bridge.to_owned())
}

/// Without a DTD: nothing of a document is ever expanded.
fn parse(text: &str) -> Option<Document<'_>> {
    let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).ok()
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// An interface on a bridge, or on one of libvirt's networks, which may tell its bridge already.
fn interface(node: Node<'_, '_>) -> Option<ToldInterface> {
    let source = child(node, "source");
    let bridge = source.and_then(|source| source.attribute("bridge")).map(str::to_owned);
    let fits = match node.attribute("type")? {
        "bridge" => bridge.is_some(),
        "network" => true,
        _ => false,
    };
    let mac = child(node, "mac").and_then(|mac| mac.attribute("address")).map(str::to_owned);
    fits.then_some(ToldInterface { bridge, mac })
}

fn is_ours(node: &Node<'_, '_>) -> bool {
    node.is_element() && node.tag_name().namespace() == Some(NAMESPACE)
}

fn element(node: Node<'_, '_>, depth: usize) -> Element {
    let attribute =
        |attribute: roxmltree::Attribute<'_, '_>| (attribute.name().to_owned(), attribute.value().to_owned());
    let inner = if depth == 0 { None } else { Some(node.children()) };
    Element {
        name: node.tag_name().name().to_owned(),
        attributes: node.attributes().map(attribute).collect(),
        children: inner
            .into_iter()
            .flatten()
            .filter(Node::is_element)
            .map(|node| element(node, depth - 1))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(devices: &str, metadata: &str) -> Told {
        let text = format!(
            "<domain type='qemu' id='1'><name>web</name><uuid>08c9cdfb-35ee-44a2-bd60-b88f503b3d6c</uuid>
             <metadata>{metadata}</metadata><devices>{devices}</devices></domain>"
        );
        domain(&text).unwrap()
    }

    #[test]
    fn bridges_and_macs_are_found() {
        let told = told(
            "<interface type='bridge'><mac address='52:54:00:11:22:33'/><source bridge='lab'/></interface>
             <interface type='network'><source network='vmnet'/></interface>
             <interface type='network'><source network='default' bridge='virbr0'/></interface>
             <interface type='user'><source bridge='lab'/></interface>
             <interface type='bridge'/>",
            "",
        );
        let bridges: Vec<_> = told.interfaces.iter().map(|one| one.bridge.as_deref()).collect();
        assert_eq!(bridges, [Some("lab"), None, Some("virbr0")]);
        assert_eq!(told.interfaces[0].mac.as_deref(), Some("52:54:00:11:22:33"));
        assert_eq!(told.uuid, "08c9cdfb-35ee-44a2-bd60-b88f503b3d6c");
    }

    #[test]
    fn only_metadata_of_our_namespace_is_ours() {
        let told = told(
            "<vmnet:network xmlns:vmnet='urn:vmnet:domain:1' name='elsewhere'/>",
            "<network name='none'/><vmnet:network xmlns:vmnet='urn:other' name='other'/>
             <x:network xmlns:x='urn:vmnet:domain:1' name='lab'><x:forward listen='80'/> </x:network>",
        );
        let [network] = told.metadata.as_slice() else { panic!("{told:?}") };
        assert_eq!(network.name, "network");
        assert_eq!(network.attributes, [("name".to_owned(), "lab".to_owned())]);
        assert_eq!(network.children[0].attributes, [("listen".to_owned(), "80".to_owned())]);
    }

    #[test]
    fn a_port_tells_its_bridge_only_where_libvirt_makes_none() {
        let hook = |plug: &str| {
            port(&format!("<hookData><network/><networkport><plug {plug}/></networkport></hookData>"))
        };
        assert_eq!(hook("type='bridge' bridge='lab'").as_deref(), Some("lab"));
        assert_eq!(hook("type='network' bridge='virbr0'"), None);
        assert_eq!(port("<hookData><network><bridge name='lab'/></network></hookData>"), None);
    }

    #[test]
    fn what_is_no_domain_is_none() {
        let deep = format!("<domain>{}{}</domain>", "<a>".repeat(200_000), "</a>".repeat(200_000));
        let wide = format!("<domain>{}</domain>", "<a/>".repeat(200_000));
        let bomb = "<!DOCTYPE d [<!ENTITY a 'b'>]><domain>&a;</domain>";
        for text in ["", "no", "<domain>", "<pool/>", "<domain></pool>", bomb, &deep, &wide] {
            assert_eq!(domain(text), None, "{}", text.get(..20).unwrap_or(text));
        }
        assert_eq!(domain("<domain/>"), Some(Told::default()));
    }
}
