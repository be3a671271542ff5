//! The pages that a patient sees after an answer: plain words, one thing said, nothing to click, no scripts, no secrets.

use super::Outcome;

/// A language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Dutch,
}

impl Language {
    /// The one that the operator asked for, or the first one of the browser's that there is.
    pub(super) fn of(locale: Option<&str>, accepted: Option<&str>) -> Self {
        let wanted = locale.or(accepted).unwrap_or_default();
        let known = |tag: &str| match tag.trim().split(['-', '_', ';']).next()?.to_ascii_lowercase().as_str() {
            "nl" => Some(Self::Dutch),
            "en" => Some(Self::English),
            _ => None,
        };
        wanted.split(',').find_map(known).unwrap_or(Self::English)
    }

    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Dutch => "nl",
        }
    }
}

/// The pages' one style.
pub(super) const STYLE: &str = ":root{color-scheme:light dark}body{font:1.125rem/1.6 system-ui,sans-serif;\
max-width:36rem;margin:12vh auto;padding:0 1.25rem}h1{font-size:1.6rem;line-height:1.3}";
/// What lets a browser use that style and no other.
pub(super) const STYLE_HASH: &str = "sha256-oZDhEEEBY2ws3G97CSJCupTLBYWFbrwhZJBfv/gZiOE=";

/// A whole page.
pub(super) fn page(outcome: Outcome, language: Language) -> String {
    let (title, paragraphs) = words(outcome, language);
    let body: String = paragraphs.iter().map(|text| format!("<p>{text}</p>")).collect();
    format!(
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>\n",
        language.tag()
    )
}

const fn words(outcome: Outcome, language: Language) -> (&'static str, &'static [&'static str]) {
    match (outcome, language) {
        (Outcome::Given, Language::English) => (
            "Thank you, that worked",
            &[
                "You have given your permission. Your care provider can now send your data to your personal health environment.",
                "You can close this page.",
            ],
        ),
        (Outcome::Given, Language::Dutch) => (
            "Dank u, het is gelukt",
            &[
                "U hebt toestemming gegeven. Uw zorgverlener kan uw gegevens nu naar uw persoonlijke gezondheidsomgeving sturen.",
                "U kunt deze pagina sluiten.",
            ],
        ),
        (Outcome::Denied, Language::English) => (
            "You did not give permission",
            &[
                "That is fine: nothing will be sent.",
                "If you change your mind, or did not mean to stop, ask your care provider for a new link. You can close this page.",
            ],
        ),
        (Outcome::Denied, Language::Dutch) => (
            "U hebt geen toestemming gegeven",
            &[
                "Dat mag: er wordt niets verstuurd.",
                "Bedenkt u zich, of was dit niet de bedoeling? Vraag uw zorgverlener dan om een nieuwe link. U kunt deze pagina sluiten.",
            ],
        ),
        (Outcome::Foreign, Language::English) => (
            "This link cannot be used",
            &[
                "It may have been used already, or be too old. Nothing was changed and nothing was sent.",
                "Please ask your care provider for a new link. You can close this page.",
            ],
        ),
        (Outcome::Foreign, Language::Dutch) => (
            "Deze link werkt niet",
            &[
                "Misschien is de link al gebruikt, of te oud. Er is niets veranderd en niets verstuurd.",
                "Vraag uw zorgverlener om een nieuwe link. U kunt deze pagina sluiten.",
            ],
        ),
        (Outcome::Failed, Language::English) => (
            "Something went wrong on our side",
            &[
                "You did everything right, and we could not finish it. Nothing was sent.",
                "Your care provider can see this too. Please ask them what to do next. You can close this page.",
            ],
        ),
        (Outcome::Failed, Language::Dutch) => (
            "Er ging bij ons iets mis",
            &[
                "U hebt alles goed gedaan, maar wij konden het niet afronden. Er is niets verstuurd.",
                "Uw zorgverlener ziet dit ook. Vraag uw zorgverlener hoe het verder gaat. U kunt deze pagina sluiten.",
            ],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    #[test]
    fn the_policy_allows_this_style_alone() {
        let digest = crate::model::Digest::of(STYLE.as_bytes());
        assert_eq!(STYLE_HASH, format!("sha256-{}", STANDARD.encode(digest.as_bytes())));
    }

    #[test]
    fn every_page_is_whole_and_holds_nothing_active() {
        for outcome in [Outcome::Given, Outcome::Denied, Outcome::Foreign, Outcome::Failed] {
            for language in [Language::English, Language::Dutch] {
                let page = page(outcome, language);
                assert!(page.contains(&format!("<html lang=\"{}\">", language.tag())));
                assert_eq!((page.matches("<h1>").count(), page.matches("<main>").count()), (1, 1));
                for active in ["<script", "href", "src=", "http", "onload", "<form", "<img", "<iframe"] {
                    assert!(!page.contains(active), "{active} in {page}");
                }
            }
        }
    }

    #[test]
    fn the_operators_language_wins_over_the_browsers() {
        assert_eq!(Language::of(None, Some("fr-FR, nl;q=0.8, en;q=0.5")), Language::Dutch);
        assert_eq!(Language::of(Some("en"), Some("nl")), Language::English);
        assert_eq!(Language::of(Some("nl_NL"), None), Language::Dutch);
        assert_eq!(Language::of(None, None), Language::English);
    }
}
