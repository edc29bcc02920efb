//! What a page knows of the far side's hold: news alone, however often the far side says the same.

/// The far side's hold.
#[derive(Debug, Default)]
pub(super) struct RemoteHold {
    /// Whether it holds.
    pub(super) holds: bool,
    /// What the page has heard last; a call begins without.
    told: bool,
}

impl RemoteHold {
    /// What the page has not heard yet.
    pub(super) fn news(&mut self) -> Option<bool> {
        (self.holds != self.told).then(|| {
            self.told = self.holds;
            self.holds
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_hears_each_change_once() {
        let mut hold = RemoteHold::default();
        let mut says = |holds| {
            hold.holds = holds;
            hold.news()
        };
        assert_eq!(
            [false, true, true, false, false, true].map(&mut says),
            [None, Some(true), None, Some(false), None, Some(true)]
        );
    }
}
