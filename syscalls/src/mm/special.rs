//! Pages of the kernel's own that programs have mapped: the vDSO and its data.

use husk_machine::frame::Frame;

/// A page that every program is shown. Who may write to its mapping gets a copy.
pub(crate) struct SpecialPage {
    /// Its name in /proc/self/maps.
    pub(crate) name: &'static str,
    /// The page.
    pub(crate) frame: Frame,
    /// The kernel goes on changing it, so that it is as a device's memory: not counted, not dropped, not dumped.
    pub(crate) live: bool,
}
