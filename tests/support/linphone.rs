//! A third implementation of everything: linphonec, over TLS with its sound encrypted.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::ChildStdin;

use super::kamailio::{DOMAIN, password};
use super::process::{Process, Start};
use super::sound::Recording;
use super::{Bench, Kamailio, Tone, secs, wait_for};

/// A running linphonec, registered over TLS. It speaks and takes SRTP only.
pub struct Linphone {
    process: Process,
    input: ChildStdin,
    folder: PathBuf,
    /// Its RTP ports.
    pub rtp: (u16, u16),
}

impl Linphone {
    /// Starts one for a user of the PBX, which must speak TLS. It answers by itself if `answers`.
    #[track_caller]
    pub fn start(bench: &Bench, pbx: &Kamailio, user: &str, says: Tone, answers: bool) -> Self {
        Self::start_with(bench, pbx, user, says, answers, None)
    }

    /// The same with one more codec (name and clock), which it has and does not offer by itself.
    #[track_caller]
    pub fn start_with(
        bench: &Bench,
        pbx: &Kamailio,
        user: &str,
        says: Tone,
        answers: bool,
        codec: Option<(&str, u32)>,
    ) -> Self {
        let folder = bench.subfolder(&format!("linphone-{user}"));
        let rtp = bench.rtp_ports();
        bench.subfolder(&format!("linphone-{user}/.local/share/linphone"));
        says.write(&folder.join("says.wav"), 8000, 120.0);
        // The PBX's certificate is the affair of other tests.
        let config = format!(
            "[sip]\nsip_port=0\nsip_tcp_port=0\nsip_tls_port={}\ndefault_proxy=0\nmedia_encryption=srtp\n\
             media_encryption_mandatory=1\nverify_server_certs=0\nverify_server_cn=0\nauto_net_state_mon=0\nregister_only_when_network_is_up=0\n\
             [net]\ndns_srv_enabled=0\n[rtp]\naudio_rtp_port={}\n[video]\ncapture=0\ndisplay=0\n\
             [proxy_0]\nreg_proxy=<sip:127.0.0.1:{};transport=tls>\nreg_identity=sip:{user}@{DOMAIN}\nreg_expires=600\n\
             reg_sendregister=1\n[auth_info_0]\nusername={user}\npasswd={}\nrealm={DOMAIN}\n",
            bench.port(),
            rtp.0,
            pbx.tls_port,
            password(user),
        );
        let codec = codec.map_or(String::new(), |(name, clock)| {
            format!("[audio_codec_0]\nmime={name}\nrate={clock}\nchannels=1\nenabled=1\n")
        });
        fs::write(folder.join("linphonerc"), config + &codec).unwrap();
        let log = bench.path(&format!("linphone-{user}.log"));
        let (process, input) = Start::new("linphonec", "linphonec", &log, None)
            .args(["-c", "linphonerc", "-d", "6", "-l", "events.log"])
            .args(answers.then_some("-a"))
            .env("HOME", &folder.to_string_lossy())
            .directory(&folder)
            .spawn_talking();
        let mut phone = Self { process, input, folder, rtp };
        wait_for("linphone at the PBX", secs(10), || (!pbx.contacts(user).is_empty()).then_some(()));
        phone.say("soundcard use files");
        phone.say("play says.wav");
        phone.say("record heard.wav");
        phone
    }

    /// Types a command.
    fn say(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap();
    }

    /// Calls a URI.
    pub fn dial(&mut self, uri: &str) {
        self.say(&format!("call {uri}"));
    }

    /// Holds one of its calls, as it numbers them from 1.
    pub fn hold(&mut self, call: u32) {
        self.say(&format!("pause {call}"));
    }

    /// Joins the far sides of two of its calls: the one is referred to the other (REFER with Replaces).
    pub fn join(&mut self, referred: u32, target: u32) {
        self.say(&format!("transfer {referred} --to-call {target}"));
    }

    /// Presses a key in its call.
    pub fn press(&mut self, digit: char) {
        self.say(&digit.to_string());
    }

    /// What it writes of itself.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("events.log")).unwrap_or_default()
    }

    /// Whether the far side of its last call holds it.
    pub fn is_held(&self) -> bool {
        let log = self.log();
        let last = |state: &str| log.rfind(&format!("to {state}"));
        last("LinphoneCallPausedByRemote") > last("LinphoneCallStreamsRunning")
    }

    /// Ends, and gives what it heard.
    #[track_caller]
    pub fn heard(mut self) -> Recording {
        self.say("quit");
        self.process.wait(secs(10));
        Recording::read(&self.folder.join("heard.wav"), 0.0)
    }
}
