//! The Merkle tree of a segment (RFC 6962 2.1), grown leaf by leaf. A leaf's data is the 32-byte hash of a record.

use aws_lc_rs::digest;

use crate::line::Hash;

/// The tree as its perfect subtrees, largest first: never more than 64 hashes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    leaves: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    pub(crate) const fn leaves(&self) -> u64 {
        self.leaves
    }

    pub(crate) fn push(&mut self, record: &Hash) {
        let mut subtree = hash(&[&[0], record]);
        let mut full = self.leaves;
        while full & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                subtree = hash(&[&[1], &left, &subtree]);
            }
            full >>= 1;
        }
        self.peaks.push(subtree);
        self.leaves += 1;
    }

    pub(crate) fn root(&self) -> Hash {
        self.peaks.iter().rev().copied().reduce(|right, left| hash(&[&[1], &left, &right])).unwrap_or_else(|| hash(&[]))
    }
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6962 2.1, word for word.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => hash(&[]),
            [leaf] => hash(&[&[0], leaf]),
            _ => {
                let mut k = 1;
                while k * 2 < leaves.len() {
                    k *= 2;
                }
                hash(&[&[1], &mth(&leaves[..k]), &mth(&leaves[k..])])
            }
        }
    }

    proptest! {
        #[test]
        fn every_root_on_the_way_is_the_one_of_rfc_6962(leaves in prop::collection::vec(any::<[u8; 32]>(), 0..70)) {
            let mut tree = Tree::default();
            prop_assert_eq!(tree.root(), mth(&[]));
            for (i, leaf) in leaves.iter().enumerate() {
                tree.push(leaf);
                prop_assert_eq!(tree.root(), mth(&leaves[..=i]));
                prop_assert_eq!(tree.leaves(), u64::try_from(i).unwrap() + 1);
            }
        }
    }

    #[test]
    fn the_empty_tree_has_the_published_root() {
        assert_eq!(
            model::hex::of(&Tree::default().root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
