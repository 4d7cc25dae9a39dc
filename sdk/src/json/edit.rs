//! One walk through a document that finds what the paths name and splices the edits in.

use super::{
    Edit, Found, Invalid, Json,
    scan::{Key, Scanner},
    tree::{Hit, Node},
};

/// A walk under way.
pub(super) struct Walk<'d, F> {
    scan: Scanner<'d>,
    splice: Splice<'d>,
    judge: F,
    /// What members that a path names but the document lacks are created with.
    missing: Option<&'d Json>,
    /// What no path leads to goes.
    only: bool,
}

impl<'d, F: FnMut(Found<'d>) -> Edit> Walk<'d, F> {
    pub(super) fn new(document: &'d [u8], judge: F, missing: Option<&'d Json>) -> Self {
        let splice = Splice { document, out: Vec::new(), taken: 0 };
        Self { scan: Scanner::new(document), splice, judge, missing, only: false }
    }

    /// The same walk, which takes away what no path leads to.
    pub(super) fn only(self) -> Self {
        Self { only: true, ..self }
    }

    /// The edited document, if any edit was made.
    pub(super) fn run(mut self, root: &Node) -> Result<Option<Vec<u8>>, Invalid> {
        self.inside(root)?;
        self.scan.end()?;
        Ok(self.splice.finish())
    }

    /// Walks the value that comes next. Goes no deeper than the paths do: what no path leads into is skipped without recursion.
    fn inside(&mut self, node: &Node) -> Result<(), Invalid> {
        match (self.scan.next(), node.element()) {
            (b'{', _) => self.object(node),
            (b'[', Some(each)) => self.array(each),
            _ => self.scan.skip(),
        }
    }

    fn object(&mut self, node: &Node) -> Result<(), Invalid> {
        self.scan.step();
        let mut row = Row::new(self.scan.at());
        let mut present = Vec::new();
        let mut next = self.scan.next();
        while next != b'}' {
            let start = self.scan.at();
            let key = self.scan.key()?;
            let hit = member(node, &key);
            if let (Some(Hit { child: Some(child), .. }), Some(_)) = (hit, self.missing) {
                present.push(child);
            }
            self.entry(hit.map(|hit| hit.node), start, &mut row)?;
            next = self.comma(b'}', "`,` or `}`")?;
        }
        self.close(&row);
        self.create(node, &present, &row);
        self.scan.step();
        Ok(())
    }

    fn array(&mut self, each: &Node) -> Result<(), Invalid> {
        self.scan.step();
        let mut row = Row::new(self.scan.at());
        let mut next = self.scan.next();
        while next != b']' {
            self.entry(Some(each), self.scan.at(), &mut row)?;
            next = self.comma(b']', "`,` or `]`")?;
        }
        self.close(&row);
        self.scan.step();
        Ok(())
    }

    /// After an entry: takes the comma and gives 0, or gives the bracket that closes.
    #[inline]
    fn comma(&mut self, bracket: u8, expected: &'static str) -> Result<u8, Invalid> {
        match self.scan.next() {
            b',' => {
                self.scan.step();
                self.scan.next();
                Ok(0)
            }
            next if next == bracket => Ok(next),
            _ => self.scan.wrong(expected),
        }
    }

    /// Walks the value of an entry that begins at `start`, with its key if it has one.
    #[inline]
    fn entry(&mut self, node: Option<&Node>, start: usize, row: &mut Row) -> Result<(), Invalid> {
        match node {
            Some(Node { path: Some(path), .. }) => return self.found(*path, node, start, row),
            _ if self.only && !self.leads_on(node) => {
                self.scan.skip()?;
                self.remove(start, row);
                return Ok(());
            }
            Some(node) => {
                self.keep(start, row);
                self.inside(node)?;
            }
            None => {
                self.keep(start, row);
                self.scan.skip()?;
            }
        }
        row.kept = Some(self.scan.at());
        Ok(())
    }

    /// Whether paths lead into the value that comes next.
    fn leads_on(&mut self, node: Option<&Node>) -> bool {
        match (self.scan.next(), node) {
            (b'{', Some(_)) => true,
            (b'[', Some(node)) => node.element().is_some(),
            _ => false,
        }
    }

    /// Has the value judged that a path leads to.
    fn found(&mut self, path: usize, node: Option<&Node>, start: usize, row: &mut Row) -> Result<(), Invalid> {
        self.scan.next();
        let value = self.scan.at();
        self.scan.skip()?;
        let end = self.scan.at();
        match (self.judge)(Found { path, raw: self.scan.since(value) }) {
            Edit::Remove => {
                self.remove(start, row);
                return Ok(());
            }
            Edit::Replace(json) => {
                self.keep(start, row);
                self.splice.cut(value, end, json.as_bytes());
            }
            Edit::Keep => {
                self.keep(start, row);
                if let Some(node) = node.filter(|node| node.leads_on() && !self.only) {
                    self.scan.go_back(value);
                    self.inside(node)?;
                }
            }
        }
        row.kept = Some(end);
        Ok(())
    }

    /// An entry stays: entries removed from the head of its row go, up to where this one begins.
    #[inline]
    fn keep(&mut self, start: usize, row: &mut Row) {
        if let Some(head) = row.head.take() {
            self.splice.cut(head, start, b"");
        }
    }

    /// An entry goes, with the comma before it; or, where nothing before it stays, with the one behind it.
    fn remove(&mut self, start: usize, row: &mut Row) {
        match row.kept {
            Some(end) => {
                self.splice.cut(end, self.scan.at(), b"");
                row.kept = Some(end);
            }
            None => row.head = row.head.or(Some(start)),
        }
    }

    /// Before the closing bracket: if nothing has stayed, nothing is left between the brackets.
    fn close(&mut self, row: &Row) {
        if row.head.is_some() {
            self.splice.cut(row.open, self.scan.at(), b"");
        }
    }

    /// Puts in the members that are to be set and are absent.
    fn create(&mut self, node: &Node, present: &[usize], row: &Row) {
        let Some(value) = self.missing else { return };
        let mut text = Vec::new();
        for (position, child) in node.children.iter().enumerate() {
            if child.create && !present.contains(&position) {
                let first = row.kept.is_none() && text.is_empty();
                text.extend_from_slice(if first { b"" } else { b"," });
                grow(&child.key, &child.node, value, &mut text);
            }
        }
        if !text.is_empty() {
            let place = row.kept.unwrap_or(row.open);
            self.splice.cut(place, place, &text);
        }
    }
}

/// Writes a member that holds `value` wherever a path ends.
fn grow(key: &str, node: &Node, value: &Json, text: &mut Vec<u8>) {
    text.extend_from_slice(Json::string(key).as_bytes());
    text.push(b':');
    if node.path.is_some() {
        text.extend_from_slice(value.as_bytes());
        return;
    }
    text.push(b'{');
    for (position, child) in node.children.iter().filter(|child| child.create).enumerate() {
        text.extend_from_slice(if position == 0 { b"" } else { b"," });
        grow(&child.key, &child.node, value, text);
    }
    text.push(b'}');
}

/// What the paths say about a member, whose key may be written with escapes.
#[inline]
fn member<'t>(node: &'t Node, key: &Key<'_>) -> Option<Hit<'t>> {
    if !key.escaped {
        return node.member(key.raw);
    }
    let quoted = [b"\"", key.raw, b"\""].concat();
    // A key with a lone surrogate is no text, so that no path can name it.
    match serde_json::from_slice::<String>(&quoted) {
        Ok(key) => node.member(key.as_bytes()),
        Err(_) => node.element().map(|node| Hit { node, child: None }),
    }
}

/// The entries of one object or array, as far as removals need to know them.
struct Row {
    /// Behind the opening bracket.
    open: usize,
    /// The end of the last entry that stays.
    kept: Option<usize>,
    /// Where the first entry begins, if that one and all since have been removed.
    head: Option<usize>,
}

impl Row {
    fn new(open: usize) -> Self {
        Self { open, kept: None, head: None }
    }
}

/// The document with parts replaced, in the order in which they stand; allocates nothing before the first one.
struct Splice<'d> {
    document: &'d [u8],
    out: Vec<u8>,
    /// Up to where the document is taken over; 0 until the first cut.
    taken: usize,
}

impl Splice<'_> {
    fn cut(&mut self, from: usize, to: usize, with: &[u8]) {
        if self.taken == 0 {
            self.out.reserve(self.document.len() + with.len());
        }
        self.out.extend_from_slice(self.document.get(self.taken..from).unwrap_or_default());
        self.out.extend_from_slice(with);
        self.taken = to;
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        // A cut never ends at 0: a bracket stands before it.
        if self.taken == 0 {
            return None;
        }
        self.out.extend_from_slice(self.document.get(self.taken..).unwrap_or_default());
        Some(self.out)
    }
}
