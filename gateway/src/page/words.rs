//! The words of the page in each language, from `gateway/messages/`, with the plural forms of the language. Each message is a method, so a
//! message that no screen uses is dead code to the compiler; a test compares the files with the methods.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, LazyLock},
};

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use serde::{Deserialize, Serialize};

/// A language of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    #[default]
    English,
    Spanish,
    Chinese,
    Russian,
    /// English with longer words, from right to left: it shows in tests whether the layout holds. Only `dev` offers it.
    Pseudo,
}

impl Language {
    /// Those that traders can choose.
    pub const OFFERED: [Self; 4] = [Self::English, Self::Spanish, Self::Chinese, Self::Russian];

    /// The value of `lang` in a page and of `?lang=`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
            Self::Chinese => "zh-Hans",
            Self::Russian => "ru",
            Self::Pseudo => "en-XB",
        }
    }

    /// The direction in which it is written.
    pub fn direction(self) -> &'static str {
        if self == Self::Pseudo { "rtl" } else { "ltr" }
    }

    /// The language of a tag, by its first part: there is one Chinese.
    pub fn of_tag(tag: &str) -> Option<Self> {
        if tag.eq_ignore_ascii_case(Self::Pseudo.tag()) {
            return Some(Self::Pseudo);
        }
        let first = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        Self::OFFERED.into_iter().find(|language| first(language.tag()) == first(tag.trim()))
    }

    /// The language that an `Accept-Language` header asks for most. By hand, for the crate that negotiates languages does not read the weights.
    pub fn accepted(header: &str) -> Option<Self> {
        let weighted = header.split(',').take(32).filter_map(|range| {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let weight: f32 = weight.trim().strip_prefix("q=")?.trim().parse().ok()?;
            Some((Self::of_tag(tag)?, weight)).filter(|(_, weight)| *weight > 0.0)
        });
        // Of two with the same weight, the first one.
        let best = weighted.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map(|(language, _)| language)
    }

    fn source(self) -> &'static str {
        match self {
            Self::English | Self::Pseudo => include_str!("../../messages/en.ftl"),
            Self::Spanish => include_str!("../../messages/es.ftl"),
            Self::Chinese => include_str!("../../messages/zh-Hans.ftl"),
            Self::Russian => include_str!("../../messages/ru.ftl"),
        }
    }
}

type Bundle = FluentBundle<FluentResource>;

/// The words of one language.
#[derive(Clone)]
pub struct Words {
    pub language: Language,
    bundle: Arc<Bundle>,
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({:?})", self.language)
    }
}

static ALL: LazyLock<Vec<Words>> = LazyLock::new(|| {
    let languages = Language::OFFERED.into_iter().chain([Language::Pseudo]);
    languages.map(|language| Words { language, bundle: Arc::new(bundle(language)) }).collect()
});

/// A test parses all files, so none fails here.
fn bundle(language: Language) -> Bundle {
    let resource =
        FluentResource::try_new(language.source().to_owned()).unwrap_or_else(|(partial, _)| partial);
    let mut bundle = Bundle::new_concurrent(language.tag().parse().into_iter().collect());
    // Isolating characters would stand around numbers too, and be copied along with ids.
    bundle.set_use_isolating(false);
    bundle.add_resource_overriding(resource);
    if language == Language::Pseudo {
        bundle.set_transform(Some(stretched));
    }
    bundle
}

/// A text with accents, a third longer.
fn stretched(text: &str) -> Cow<'_, str> {
    const ACCENTS: [(char, char); 6] =
        [('a', 'á'), ('e', 'é'), ('i', 'í'), ('o', 'ó'), ('u', 'ú'), ('y', 'ý')];
    let accented = |character: char| {
        ACCENTS.iter().find(|(plain, _)| *plain == character).map_or(character, |(_, accented)| *accented)
    };
    let words = text.split_inclusive(' ').map(|word| {
        let vowels = word.chars().filter(|character| "aeiou".contains(*character)).take(2);
        let (stem, space) = word.strip_suffix(' ').map_or((word, ""), |stem| (stem, " "));
        stem.chars().map(accented).chain(vowels).collect::<String>() + space
    });
    Cow::Owned(words.collect())
}

impl Words {
    /// The words of a language.
    pub fn of(language: Language) -> Self {
        let words = ALL.iter().find(|words| words.language == language).or(ALL.first());
        words.expect("the list of languages is not empty").clone()
    }

    fn say(&self, name: &str, arguments: &FluentArgs<'_>) -> String {
        let id = id(name);
        let message = self.bundle.get_message(&id).and_then(|message| message.value());
        match message {
            Some(pattern) => {
                self.bundle.format_pattern(pattern, Some(arguments), &mut Vec::new()).into_owned()
            }
            // A test rules it out.
            None => id,
        }
    }
}

/// The id of a message by the name of its method.
fn id(name: &str) -> String {
    name.trim_start_matches("r#").replace('_', "-")
}

/// A number in a message, as templates pass it.
pub trait Number {
    fn value(self) -> FluentValue<'static>;
}

impl Number for usize {
    fn value(self) -> FluentValue<'static> {
        self.into()
    }
}

impl Number for &usize {
    fn value(self) -> FluentValue<'static> {
        (*self).into()
    }
}

/// A text in a message, as templates pass it.
pub trait Text {
    fn value(self) -> FluentValue<'static>;
}

impl<T: AsRef<str> + ?Sized> Text for &T {
    fn value(self) -> FluentValue<'static> {
        self.as_ref().to_owned().into()
    }
}

/// What a trader typed, in a message. Set apart, for it may be written in the other direction than the sentence around it.
pub trait Typed {
    fn value(self) -> FluentValue<'static>;
}

impl<T: AsRef<str> + ?Sized> Typed for &T {
    fn value(self) -> FluentValue<'static> {
        format!("\u{2068}{}\u{2069}", self.as_ref()).into()
    }
}

macro_rules! messages {
    ($($id:ident $(($argument:ident: $kind:ident))?;)+) => {
        impl Words {
            $(
                pub fn $id(&self $(, $argument: impl $kind)?) -> String {
                    let arguments: [(&str, FluentValue<'_>); _] = [$((stringify!($argument), $argument.value()))?];
                    self.say(stringify!($id), &arguments.into_iter().collect())
                }
            )+
        }
        #[cfg(test)]
        const IDS: &[(&str, &[&str])] = &[$((stringify!($id), &[$(stringify!($argument))?])),+];
    };
}

messages! {
    language_name;
    language_label;
    page_name;
    error_prefix;
    error_summary;
    r#continue;
    try_again;
    start_again;
    log_in;
    help;
    privacy;
    reference(id: Text);
    start_title;
    start_lead;
    login_label;
    login_empty;
    login_malformed;
    question_title;
    question_lead;
    answer_label;
    answer_empty;
    answer_wrong;
    answer_needed;
    answer_too_long;
    code_title;
    code_lead;
    code_new;
    code_label;
    code_hint(digits: Number);
    code_malformed(digits: Number);
    code_wrong;
    time_limit(minutes: Number);
    time_short;
    more_time;
    time_given;
    time_not_given;
    no_mail;
    no_mail_wait;
    no_mail_login(login: Typed);
    send_again;
    password_title;
    password_advice;
    password_hint(characters: Number);
    password_label;
    password_again;
    password_show;
    password_enough;
    password_set;
    password_empty;
    password_too_short(characters: Number);
    password_too_long(characters: Number);
    password_easy;
    password_named;
    passwords_differ;
    password_refused;
    password_not_accepted;
    done_title;
    done_lead;
    wait_minutes(minutes: Number);
    limits_title;
    limits_lead;
    later_title;
    later_lead;
    codes_title;
    codes_lead;
    ended_title;
    ended_lead;
    unknown_title;
    unknown_mail;
    enter_code;
    unknown_password;
    cookies_title;
    cookies_lead;
    other_site_title;
    other_site_lead;
    other_window_title;
    other_window_lead;
    not_found_title;
    not_found_lead;
    too_long_title;
    too_long_lead;
    broken_title;
    broken_lead;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_language_has_every_message_and_no_other() {
        let used: BTreeSet<String> = IDS.iter().map(|(name, _)| id(name)).collect();
        for language in Language::OFFERED {
            let resource =
                FluentResource::try_new(language.source().to_owned()).map_err(|(_, errors)| errors).unwrap();
            let lines =
                language.source().lines().filter(|line| !line.starts_with([' ', '#']) && !line.is_empty());
            let written: BTreeSet<String> =
                lines.map(|line| line.split(" =").next().unwrap().to_owned()).collect();
            assert_eq!(written, used, "{language:?}");
            assert_eq!(
                resource.entries().filter(|entry| format!("{entry:?}").starts_with("Junk")).count(),
                0
            );
        }
    }

    #[test]
    fn every_message_takes_its_argument_and_no_other() {
        for language in Language::OFFERED {
            let words = Words::of(language);
            for (name, argument) in IDS {
                let id = id(name);
                let pattern = words.bundle.get_message(&id).unwrap().value().unwrap();
                let value = match argument {
                    ["id" | "login"] => FluentValue::from("§7"),
                    _ => FluentValue::from(7),
                };
                let arguments: FluentArgs<'_> = argument.iter().map(|name| (*name, value.clone())).collect();
                let mut errors = Vec::new();
                let text = words.bundle.format_pattern(pattern, Some(&arguments), &mut errors);
                assert!(errors.is_empty() && !text.contains('{'), "{language:?} {id}: {errors:?} {text}");
                assert_eq!(text.contains('7'), !argument.is_empty(), "{language:?} {id}: {text}");
            }
        }
    }

    #[test]
    fn plurals_follow_the_language() {
        let russian = Words::of(Language::Russian);
        let minutes = |count| russian.wait_minutes(count);
        assert!(
            minutes(1).contains("1 минуту")
                && minutes(3).contains("3 минуты")
                && minutes(5).contains("5 минут.")
        );
        assert!(minutes(21).contains("21 минуту") && minutes(11).contains("11 минут."));
        let english = Words::of(Language::English);
        assert!(
            english.wait_minutes(1).contains("1 minute.") && english.wait_minutes(2).contains("2 minutes.")
        );
    }

    #[test]
    fn the_language_is_the_one_that_is_asked_for_most() {
        for (header, language) in [
            ("en-GB,en;q=0.9", Some(Language::English)),
            ("de, es;q=0.5, ru;q=0.7", Some(Language::Russian)),
            ("zh-CN", Some(Language::Chinese)),
            ("zh-Hant-TW, en;q=0.1", Some(Language::Chinese)),
            ("es-419;q=0.9,en;q=0.8", Some(Language::Spanish)),
            ("ru;q=0, en;q=0.1", Some(Language::English)),
            ("de", None),
            ("*", None),
            ("es;q=soon, , ;", None),
            ("", None),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }
}
