//! Which marketplaces push. A further one is a further line here.

use crate::order_notice::NotifyingMarketplace;
use crate::{InboundChannel, MarketplaceA};

static INBOUND: &[&dyn InboundChannel] =
    &[&MarketplaceA, &NotifyingMarketplace("etsy"), &NotifyingMarketplace("shopify"), &NotifyingMarketplace("amazon")];

/// Finds a marketplace that pushes by its name. `None` when there is no such one, or when it is one that we poll.
pub fn inbound(kind: &str) -> Option<&'static dyn InboundChannel> {
    INBOUND.iter().copied().find(|channel| channel.kind() == kind)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rstest::rstest;

    use super::*;

    #[test]
    fn every_registered_marketplace_is_found_under_its_own_name() {
        let kinds: HashSet<_> = INBOUND.iter().map(|channel| channel.kind()).collect();
        assert_eq!(kinds.len(), INBOUND.len(), "no name is taken twice");
        for kind in kinds {
            assert_eq!(inbound(kind).map(InboundChannel::kind), Some(kind));
        }
    }

    #[test]
    fn header_names_are_lower_case_as_they_come_from_http_libraries() {
        for channel in INBOUND {
            assert_eq!(channel.signature_header(), channel.signature_header().to_ascii_lowercase());
        }
    }

    #[rstest]
    #[case::polled("marketplace-b")]
    #[case::unknown("marketplace-c")]
    #[case::other_case("Marketplace-A")]
    #[case::padded("marketplace-a ")]
    #[case::empty("")]
    fn nothing_else_is_found(#[case] kind: &str) {
        assert!(inbound(kind).is_none());
    }
}
