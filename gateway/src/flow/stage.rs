//! How far a flow has come, as the bits of its record. Nobody outside can tell one stage from another.

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage(u8);

impl Stage {
    /// Autoshares wants the answer to the secret question.
    pub const QUESTION: Stage = Stage(1);
    /// Autoshares refused the login, for example because it does not exist, and the gateway pretends that it has a secret question.
    pub const DECOY: Stage = Stage(2);
    /// A code was sent, or may have been. A flow that has come this far stays live, whatever comes later.
    pub const LIVE: Stage = Stage(4);
    /// The gateway is forwarding step 1, and does not know yet whether Autoshares sends a code. A crash leaves the flow here.
    pub const LIVE_PERHAPS: Stage = Stage(8);
    /// No code was sent, but the client cannot tell that.
    pub const DEAD: Stage = Stage(16);

    /// The bits that a record keeps once it has them.
    pub const LASTING: u8 = Self::LIVE.0;
    /// The bits that a record keeps when another step 1 comes: its outcome must not take away what an earlier one may have brought.
    pub const STICKY: u8 = Self::LIVE.0 | Self::LIVE_PERHAPS.0;
    /// In these stages there may be a code, so codes are forwarded.
    pub const WITH_CODE: u8 = Self::LIVE.0 | Self::LIVE_PERHAPS.0;
    /// In these stages codes and tokens are taken, whether or not they are forwarded.
    pub const AFTER_RESET: u8 = Self::WITH_CODE | Self::DEAD.0;
    /// In these stages the secret question is given.
    pub const WITH_QUESTION: u8 = Self::QUESTION.0 | Self::DECOY.0;

    /// The bits.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// A stage of a record.
    pub fn of(bits: u8) -> Self {
        Self(bits)
    }

    /// Whether there may be a code.
    pub fn has_code(self) -> bool {
        self.0 & Self::WITH_CODE != 0
    }

    /// Whether the login is asked a question although it does not exist.
    pub fn is_decoy(self) -> bool {
        self.0 & Self::DECOY.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_a_bit_and_takes_the_steps_that_it_allows() {
        let yes = |bits: u8, stage: Stage| bits & stage.bits() != 0;
        // Codes forwarded, codes taken, question given, kept for ever, kept by a step 1, decoy.
        for (stage, expected) in [
            (Stage::QUESTION, [false, false, true, false, false, false]),
            (Stage::DECOY, [false, false, true, false, false, true]),
            (Stage::LIVE, [true, true, false, true, true, false]),
            (Stage::LIVE_PERHAPS, [true, true, false, false, true, false]),
            (Stage::DEAD, [false, true, false, false, false, false]),
        ] {
            let bits = [Stage::AFTER_RESET, Stage::WITH_QUESTION, Stage::LASTING, Stage::STICKY];
            let [after_reset, with_question, lasting, sticky] = bits.map(|bits| yes(bits, stage));
            let seen = [stage.has_code(), after_reset, with_question, lasting, sticky, stage.is_decoy()];
            assert_eq!(seen, expected, "{stage:?}");
            assert_eq!((yes(Stage::WITH_CODE, stage), Stage::of(stage.bits())), (stage.has_code(), stage));
        }
        // A record may have several bits.
        let both = Stage::of(Stage::LIVE.bits() | Stage::DECOY.bits());
        assert!(both.has_code() && both.is_decoy() && !Stage::of(0).has_code() && !Stage::of(0).is_decoy());
    }
}
