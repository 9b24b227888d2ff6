//! Runs progenitor on the checked document, and writes the table of operations as Rust code.

use std::{panic, str::FromStr};

use progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle};
use serde_json::Value;

use crate::check::{METHODS, members};

/// Returns the source code of the client, or a sentence that says why it could not be generated.
pub(crate) fn client(document: &Value) -> Result<String, String> {
    let openapi: openapiv3::OpenAPI = serde_json::from_value(document.clone())
        .map_err(|error| format!("not an OpenAPI document: {error}"))?;

    let mut settings = GenerationSettings::new();
    settings.with_interface(InterfaceStyle::Positional).with_hooks(HooksMode::Expected).with_inner_type(
        FromStr::from_str("crate::call::Call").map_err(|_| "`Call` is not a type".to_owned())?,
    );
    // The types are replaced by component name. Progenitor's conversion by schema would silently stop matching, and the secret become a
    // plain string, as soon as somebody added a `maxLength` to the schema.
    for (name, schema) in members(&document["components"]["schemas"]) {
        if schema["x-autoshares-redact"] == true {
            settings.with_replacement(name, format!("crate::secret::Wire<crate::{name}>"), [].into_iter());
        }
    }

    // Progenitor panics at documents that it cannot handle. If `check` missed such a fault, the build still ends with a readable sentence.
    panic::set_hook(Box::new(|_| {}));
    let tokens = panic::catch_unwind(|| Generator::new(&settings).generate_tokens(&openapi));
    let _ = panic::take_hook();
    let tokens = tokens
        .map_err(|cause| {
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            format!(
                "the generator gave up: {text}; add a check to sdk/build/check.rs once you know the place"
            )
        })?
        .map_err(|error| format!("the generator refused: {error}"))?;

    let mut file: syn::File =
        syn::parse2(tokens).map_err(|error| format!("the generated client does not parse: {error}"))?;
    keep_member_order(&mut file, document);
    remember_addresses(&mut file, document)?;
    Ok(prettyplease::unparse(&file))
}

/// Returns the source code of the table of operations: the identifier, method, path and retry class of each.
pub(crate) fn operations(document: &Value) -> String {
    let mut rows = String::new();
    for (path, method, operation) in described(document) {
        if let (Some(id), Some(retry)) =
            (operation["operationId"].as_str(), operation["x-autoshares-retry"].as_str())
        {
            let retry = if retry == "safe" { "Safe" } else { "UnsentOnly" };
            let method = method.to_uppercase();
            rows += &format!(
                "    Row {{ id: {id:?}, method: {method:?}, path: {path:?}, retry: Retry::{retry} }},\n"
            );
        }
    }
    format!("pub(crate) const OPERATIONS: &[Row] = &[\n{rows}];\n")
}

/// The operations of the document, each with its path and method.
fn described(document: &Value) -> impl Iterator<Item = (&str, &'static str, &Value)> {
    let items = members(&document["paths"]);
    items
        .flat_map(|(path, item)| {
            METHODS.into_iter().map(move |method| (path.as_str(), method, &item[method]))
        })
        .filter(|(_, _, operation)| !operation.is_null())
}

/// Puts the fields of the generated types into the order of the document, so that requests are byte for byte those of Autoshares'
/// documentation. Progenitor sorts them by name.
fn keep_member_order(file: &mut syn::File, document: &Value) {
    for item in &mut file.items {
        let syn::Item::Mod(syn::ItemMod { ident, content: Some((_, items)), .. }) = item else { continue };
        if ident != "types" {
            continue;
        }
        for item in items {
            let syn::Item::Struct(item) = item else { continue };
            let properties = &document["components"]["schemas"][item.ident.to_string()]["properties"];
            let order: Vec<&str> = members(properties).map(|(name, _)| name.as_str()).collect();
            let syn::Fields::Named(fields) = &mut item.fields else { continue };
            let mut sorted: Vec<syn::Field> = fields.named.iter().cloned().collect();
            sorted.sort_by_key(|field| {
                let name = serialized_name(field);
                order.iter().position(|known| *known == name).unwrap_or(usize::MAX)
            });
            fields.named = sorted.into_iter().collect();
        }
    }
}

/// Has each operation take its address from `Call`, which remembers it. Progenitor composes a text for every request, which reqwest parses anew.
fn remember_addresses(file: &mut syn::File, document: &Value) -> Result<(), String> {
    let items = file.items.iter_mut().filter_map(|item| match item {
        syn::Item::Impl(item) => Some(&mut item.items),
        _ => None,
    });
    let mut found = 0;
    for item in items.flatten() {
        let syn::ImplItem::Fn(function) = item else { continue };
        for statement in &mut function.block.stmts {
            if let syn::Stmt::Local(syn::Local { pat: syn::Pat::Ident(name), init: Some(init), .. }) =
                statement
                && name.ident == "url"
            {
                let composed = &init.expr;
                *init.expr = syn::parse_quote! {
                    self.inner().address(|| #composed).ok_or_else(|| Error::InvalidRequest("no address".to_owned()))?
                };
                found += 1;
            }
        }
    }
    // `Addresses` would remember every value of a call.
    let changes = |path: &str| path.replace("{version}", "").contains('{');
    if let Some((path, _)) = members(&document["paths"]).find(|(path, _)| changes(path)) {
        return Err(format!("{path}: the address depends on the call, so `Addresses` must not remember it"));
    }
    let operations = described(document).count();
    if found == operations {
        return Ok(());
    }
    Err(format!(
        "the generated client composes {found} addresses as `url`, and not one for each of {operations} operations"
    ))
}

fn serialized_name(field: &syn::Field) -> String {
    let mut name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
    for attribute in &field.attrs {
        if attribute.path().is_ident("serde") {
            // Progenitor writes `rename` as the first argument. The others do not matter here, and neither does failing to parse them.
            let _ = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("rename") {
                    name = meta.value()?.parse::<syn::LitStr>()?.value();
                } else if meta.input.peek(syn::Token![=]) {
                    meta.value()?.parse::<syn::Expr>()?;
                }
                Ok(())
            });
        }
    }
    name
}
