//! Notifications as a website would queue them, each with something private in it.

/// One notification, and what in it is nobody else's business.
pub(crate) struct Notification {
    json: String,
    private: [String; 2],
}

const PEOPLE: [(&str, &str); 6] = [
    ("Mia Okafor", "mia.okafor"),
    ("Jonas Lindqvist", "jonas.lindqvist"),
    ("Ana Ruiz", "ana.ruiz"),
    ("Kenji Sato", "kenji.sato"),
    ("Élodie Martin", "elodie.martin"),
    ("Tom O’Brien", "tom.obrien"),
];

/// What they read it with; the first filter lets people through, and wants to be told.
const AGENTS: [&str; 3] = ["Firefox/143 (Linux)", "Safari/19 (iPhone)", "Chrome/141 (Windows)"];

const EVENTS: [(&str, &str); 5] = [
    ("comment.created", "replied to your comment on “Lake houses of the north”"),
    ("follow.started", "now follows you"),
    ("order.shipped", "has shipped your order 4711-20"),
    ("mention.created", "mentioned you in “Weekend plans”"),
    ("photo.liked", "likes your photo “Harbour at six”"),
];

impl Notification {
    /// The `number`th, from 1; the same number gives the same notification.
    pub(crate) fn number(number: u64) -> Self {
        let (name, account) = pick(&PEOPLE, number);
        let (kind, text) = pick(&EVENTS, number / 2);
        let agent = pick(&AGENTS, number);
        let (ip, email) = (format!("203.0.113.{}", number * 37 % 254 + 1), format!("{account}@example.org"));
        let private = [format!("\"ip\":\"{ip}\""), format!("\"email\":\"{email}\"")];
        let [ip, email] = &private;
        let json = format!(
            "{{\"id\":{number},\"event\":\"{kind}\",\"text\":\"{name} {text}\",\"agent\":\"{agent}\",\"user\":{{\"name\":\"{name}\",{email},\"locale\":\"en\"}},{ip},\"unread\":{}}}",
            number % 7 + 1
        );
        Self { json, private }
    }

    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// The members of the JSON that should not leave the house, as they are written in it.
    pub(crate) fn private(&self) -> &[String] {
        &self.private
    }
}

/// The number of the notification that `body` was made from.
pub(crate) fn number_in(body: &str) -> Option<u64> {
    let (_, rest) = body.split_once("\"id\":")?;
    let rest = rest.trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

fn pick<T: Copy>(of: &[T], number: u64) -> T {
    let length = of.len() as u64;
    #[expect(clippy::indexing_slicing, reason = "the remainder is smaller than the length")]
    of[usize::try_from(number % length).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_holds_its_number_and_what_is_private() {
        for number in [1, 20, 12345] {
            let notification = Notification::number(number);
            assert_eq!(number_in(notification.json()), Some(number));
            assert!(
                notification.private().iter().all(|member| notification.json().contains(member)),
                "{}",
                notification.json()
            );
        }
    }

    #[test]
    fn a_body_without_a_number_has_none() {
        for body in ["", "not JSON", "{\"id\":\"text\"}", "{\"id\":"] {
            assert_eq!(number_in(body), None, "{body}");
        }
        assert_eq!(number_in("{ \"id\": 7 }"), Some(7));
    }
}
