//! Writes a line of the log as one JSON object: the time, the level, the fields of the event, its target, and the spans around it.
//!
//! tracing-subscriber has such a layer, which takes six times as long: it writes each value in small pieces through two adapters, each of which
//! checks that they are UTF-8.

use std::{
    cell::Cell,
    fmt::{self, Write as _},
    io::Write as _,
    time::SystemTime,
};

use serde::Serialize;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// The layer, and where its lines go, each with what is known of its event.
pub struct JsonLines(pub fn(&Metadata<'_>, &[u8]));

thread_local! {
    /// The room for a line, which is used again and again.
    static ROOM: Cell<Fields> = const { Cell::new(Fields::new()) };
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        // A value that is recorded may write a line of its own, which then finds no room and makes some.
        let mut line = ROOM.take();
        line.json.clear();
        line.json.extend_from_slice(b"{\"timestamp\":\"");
        #[allow(
            clippy::disallowed_methods,
            reason = "the log tells the time of day, and decides nothing by it"
        )]
        let now = humantime::format_rfc3339_micros(SystemTime::now());
        // Writing into memory does not fail.
        let _ = write!(line.json, "{now}");
        line.json.extend_from_slice(b"\",\"level\":\"");
        line.json.extend_from_slice(metadata.level().as_str().as_bytes());
        line.json.push(b'"');
        event.record(&mut line);
        line.text("target", metadata.target());
        if let Some(scope) = context.event_scope(event) {
            line.json.extend_from_slice(b",\"spans\":[");
            for (index, span) in scope.from_root().enumerate() {
                line.json.extend_from_slice(if index == 0 { b"{\"name\":\"" } else { b",{\"name\":\"" });
                line.json.extend_from_slice(span.name().as_bytes());
                line.json.push(b'"');
                if let Some(fields) = span.extensions().get::<Fields>() {
                    line.json.extend_from_slice(&fields.json);
                }
                line.json.push(b'}');
            }
            line.json.push(b']');
        }
        line.json.extend_from_slice(b"}\n");
        (self.0)(metadata, &line.json);
        ROOM.set(line);
    }
}

/// Fields as the members of a JSON object, each with a comma in front.
#[derive(Default)]
struct Fields {
    json: Vec<u8>,
    /// Room for a value that has to be written as text first.
    room: String,
}

impl Fields {
    const fn new() -> Self {
        Self { json: Vec::new(), room: String::new() }
    }

    /// Adds a member.
    fn value(&mut self, name: &str, value: impl Serialize) {
        self.name(name);
        // No text and no number fails to be written into memory.
        let _ = serde_json::to_writer(&mut self.json, &value);
    }

    /// Adds a member that is a text.
    fn text(&mut self, name: &str, text: &str) {
        // Nearly no text has to be escaped, which many bytes at once tell.
        let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if text.bytes().fold(false, |found, byte| found | is_special(byte)) {
            return self.value(name, text);
        }
        self.name(name);
        self.json.push(b'"');
        self.json.extend_from_slice(text.as_bytes());
        self.json.push(b'"');
    }

    /// Begins a member. Its name stands in the source, and is one that JSON need not escape.
    fn name(&mut self, name: &str) {
        self.json.extend_from_slice(b",\"");
        self.json.extend_from_slice(name.strip_prefix("r#").unwrap_or(name).as_bytes());
        self.json.extend_from_slice(b"\":");
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = std::mem::take(&mut self.room);
        text.clear();
        // A value that cannot be written leaves what it has written so far.
        let _ = write!(text, "{value:?}");
        self.text(field.name(), &text);
        self.room = text;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::{Value, json};
    use tracing::{info, info_span};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    thread_local! {
        static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    #[test]
    fn a_line_is_one_object_whatever_its_values_hold() {
        let keep =
            |_: &Metadata<'_>, line: &[u8]| LINES.with_borrow_mut(|lines| lines.extend_from_slice(line));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(JsonLines(keep)), || {
            let span = info_span!("request", request_id = "1\"2", late = tracing::field::Empty);
            span.record("late", 7);
            let _inside = span.enter();
            info_span!("call").in_scope(|| info!(absent = None::<u8>, "in\nside"));
            info!(target: "elsewhere", text = "\u{1}\u{2028}é\\", number = -3, large = u64::MAX, part = 0.5, bad = f64::NAN, yes = true, shown = %'x', r#type = "t");
        });
        let text = String::from_utf8(LINES.take()).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for line in &mut lines {
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            humantime::parse_rfc3339(time.as_str().unwrap()).unwrap();
        }
        let target = module_path!();
        let request = json!({ "name": "request", "request_id": "1\"2", "late": 7 });
        assert_eq!(
            lines,
            [
                json!({ "level": "INFO", "message": "in\nside", "target": target, "spans": [request, { "name": "call" }] }),
                json!({ "level": "INFO", "text": "\u{1}\u{2028}é\\", "number": -3, "large": u64::MAX, "part": 0.5, "bad": null,
                    "yes": true, "shown": "x", "type": "t", "target": "elsewhere", "spans": [request] }),
            ]
        );
    }
}
