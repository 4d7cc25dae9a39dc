//! Several paths as one tree, so that one walk through a document finds them all.

use super::path::{PathError, Step, parse};

/// More nodes than any sensible set of paths has; sets that mix `[]` and keys at many levels multiply.
const MOST_NODES: usize = 10_000;

/// What the paths say from one place in a document downwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// The path that ends here, by its position among the paths.
    pub(super) path: Option<usize>,
    pub(super) children: Vec<Child>,
    /// For members that `children` does not name, and for elements of an array.
    each: Option<Box<Node>>,
    /// Bit `n % 64` is set if a child's key has `n` bytes: most keys of a document are told apart by this alone.
    lengths: u64,
}

/// A member that a path names.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) key: String,
    pub(super) node: Node,
    /// A path leads to it by keys alone from its parent down: setting creates it where it is absent.
    pub(super) create: bool,
}

/// The member a key stands for.
#[derive(Clone, Copy)]
pub(super) struct Hit<'t> {
    pub(super) node: &'t Node,
    /// Its position among the children; absent where only `[]` covers it.
    pub(super) child: Option<usize>,
}

impl Node {
    /// The root of the tree for `paths`.
    pub(super) fn root<'p>(paths: impl Iterator<Item = &'p str>) -> Result<Self, PathError> {
        let parsed = paths.map(parse).collect::<Result<Vec<_>, _>>()?;
        let routes: Vec<Route<'_>> = parsed.iter().enumerate().map(|(path, steps)| Route { path, steps }).collect();
        build(&routes, &mut MOST_NODES.clone())
    }

    /// What the paths say about the member `key`, given without escapes.
    #[inline]
    pub(super) fn member(&self, key: &[u8]) -> Option<Hit<'_>> {
        if self.lengths >> (key.len() % 64) & 1 == 1 {
            let named = self.children.iter().enumerate().find(|(_, child)| child.key.as_bytes() == key);
            if let Some((position, child)) = named {
                return Some(Hit { node: &child.node, child: Some(position) });
            }
        }
        self.element().map(|node| Hit { node, child: None })
    }

    /// What the paths say about each element.
    pub(super) fn element(&self) -> Option<&Self> {
        self.each.as_deref()
    }

    /// Whether paths lead on from here.
    pub(super) fn leads_on(&self) -> bool {
        self.each.is_some() || !self.children.is_empty()
    }
}

/// What is left of one path.
#[derive(Clone, Copy)]
struct Route<'p> {
    path: usize,
    steps: &'p [Step],
}

fn build(routes: &[Route<'_>], budget: &mut usize) -> Result<Node, PathError> {
    *budget = budget.checked_sub(1).ok_or_else(|| PathError::new("…", "the paths together branch too often"))?;
    let path = routes.iter().find(|route| route.steps.is_empty()).map(|route| route.path);
    let each = onwards(routes, &Step::Each);
    let mut node = Node { path, ..Node::default() };
    for route in routes {
        let Some(step @ Step::Key(key)) = route.steps.first() else {
            continue;
        };
        if node.children.iter().all(|child| child.key != *key) {
            let named = onwards(routes, step);
            let create = named.iter().any(|route| !route.steps.contains(&Step::Each));
            // What holds for every member holds for this one too.
            let both = [named, each.clone()].concat();
            node.lengths |= 1 << (key.len() % 64);
            node.children.push(Child { key: key.clone(), node: build(&both, budget)?, create });
        }
    }
    if !each.is_empty() {
        node.each = Some(Box::new(build(&each, budget)?));
    }
    Ok(node)
}

/// The routes that begin with `step`, without it.
fn onwards<'p>(routes: &[Route<'p>], step: &Step) -> Vec<Route<'p>> {
    let follow = |route: &Route<'p>| {
        let (first, steps) = route.steps.split_first()?;
        (first == step).then_some(Route { path: route.path, steps })
    };
    routes.iter().filter_map(follow).collect()
}
