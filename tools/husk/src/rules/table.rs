//! The rules: what real programs open at run time and no header of theirs names.
//!
//! Paths may contain `*` in a name, and these words:
//!
//! | word | stands for |
//! |---|---|
//! | `{prefix}` | two directories above the program: `/usr` for `/usr/bin/python3.11` |
//! | `{program}` | the program's file name, links resolved: `python3.11` |
//! | `{term}`, `{t}` | `$TERM` in the guest, and its first letter |
//! | `{zone}` | `$TZ` in the guest, without a leading colon |
//! | `{home}` | the directory a virtual environment is in: `/srv/venv` for `/srv/venv/bin/python3` |
//!
//! What the host does not have is passed over without a word.

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, shown by `husk bundle --list`.
    pub name: &'static str,
    /// When it applies.
    pub when: When,
    /// What it adds.
    pub add: &'static [Add],
}

/// When a rule applies.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// To every bundle.
    Always,
    /// When a program of the bundle uses glibc's loader.
    Glibc,
    /// When a program of the bundle uses musl's loader.
    Musl,
    /// When a program or interpreter of the bundle has one of these file names (links resolved; `*` allowed).
    Program(&'static [&'static str]),
    /// When the bundle has one of these libraries (`*` allowed).
    Library(&'static [&'static str]),
}

/// What a rule adds.
#[derive(Clone, Copy, Debug)]
pub enum Add {
    /// A file, or a directory without what is in it.
    Path(&'static str),
    /// A directory with everything in it, but for these names.
    Tree(&'static str, &'static [&'static str]),
}

use Add::{Path, Tree};

const NONE: &[&str] = &[];

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        name: "etc",
        when: When::Always,
        add: &[
            Path("/etc/passwd"),
            Path("/etc/group"),
            Path("/etc/hosts"),
            Path("/etc/host.conf"),
            Path("/etc/resolv.conf"),
            Path("/etc/services"),
            Path("/etc/protocols"),
            Path("/etc/os-release"),
            Path("/etc/debian_version"),
        ],
    },
    Rule {
        name: "time-zone",
        when: When::Always,
        add: &[
            Path("/etc/localtime"),
            Path("/etc/timezone"),
            Path("/usr/share/zoneinfo/UTC"),
            Path("/usr/share/zoneinfo/{zone}"),
        ],
    },
    Rule { name: "ca-certificates", when: When::Always, add: &[Path("/etc/ssl/certs/ca-certificates.crt")] },
    Rule {
        name: "glibc",
        when: When::Glibc,
        add: &[
            Path("/etc/nsswitch.conf"),
            Path("/etc/gai.conf"),
            Path("/lib/x86_64-linux-gnu/libnss_files.so.2"),
            Path("/lib/x86_64-linux-gnu/libnss_dns.so.2"),
            Path("/lib/x86_64-linux-gnu/libnss_compat.so.2"),
            // pthread_cancel(3) and backtrace(3) load it by name.
            Path("/lib/x86_64-linux-gnu/libgcc_s.so.1"),
        ],
    },
    Rule {
        name: "glibc-locale",
        when: When::Glibc,
        add: &[
            Tree("/usr/lib/locale/C.utf8", NONE),
            Path("/usr/lib/locale/locale-archive"),
            Path("/usr/share/locale/locale.alias"),
        ],
    },
    Rule {
        name: "glibc-gconv",
        when: When::Glibc,
        add: &[
            Path("/usr/lib/x86_64-linux-gnu/gconv/gconv-modules"),
            Path("/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache"),
            Tree("/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.d", NONE),
            Path("/usr/lib/x86_64-linux-gnu/gconv/UTF-16.so"),
            Path("/usr/lib/x86_64-linux-gnu/gconv/UTF-32.so"),
            Path("/usr/lib/x86_64-linux-gnu/gconv/UTF-7.so"),
            Path("/usr/lib/x86_64-linux-gnu/gconv/UNICODE.so"),
            Path("/usr/lib/x86_64-linux-gnu/gconv/ISO8859-1.so"),
            Path("/usr/lib/x86_64-linux-gnu/gconv/ISO8859-15.so"),
            Path("/usr/lib/x86_64-linux-gnu/gconv/CP1252.so"),
        ],
    },
    Rule { name: "musl", when: When::Musl, add: &[Path("/etc/ld-musl-x86_64.path")] },
    Rule {
        name: "terminfo",
        when: When::Library(&["libtinfo.so*", "libtinfow.so*", "libncurses*.so*", "libreadline.so*"]),
        add: &[
            Path("/lib/terminfo/{t}/{term}"),
            Path("/usr/share/terminfo/{t}/{term}"),
            Path("/etc/terminfo/{t}/{term}"),
            Path("/lib/terminfo/d/dumb"),
            Path("/etc/inputrc"),
        ],
    },
    Rule {
        name: "openssl",
        when: When::Library(&["libcrypto.so*", "libssl.so*"]),
        add: &[
            Path("/etc/ssl/openssl.cnf"),
            Path("/usr/lib/ssl/openssl.cnf"),
            Path("/usr/lib/ssl/certs"),
            Path("/usr/lib/ssl/cert.pem"),
            Tree("/usr/lib/x86_64-linux-gnu/ossl-modules", NONE),
            Tree("/usr/lib/x86_64-linux-gnu/engines-3", NONE),
        ],
    },
    Rule {
        name: "python",
        when: When::Program(&["python2*", "python3*"]),
        add: &[
            // The static library and its makefile serve only to build extensions.
            Tree("{prefix}/lib/{program}", &["config-*"]),
            Path("{prefix}/lib/{program}/config-3*/Makefile"),
            Tree("/usr/lib/python3/dist-packages", NONE),
            Tree("/usr/local/lib/{program}/dist-packages", NONE),
            Tree("/etc/{program}", NONE),
            Tree("/usr/share/zoneinfo", &["posix", "right"]),
            Path("/etc/mime.types"),
        ],
    },
    Rule {
        name: "python-venv",
        when: When::Program(&["python3*"]),
        add: &[Path("{home}/pyvenv.cfg"), Tree("{home}/lib", NONE)],
    },
    Rule {
        name: "perl",
        when: When::Program(&["perl", "perl5*"]),
        add: &[
            Tree("/etc/perl", NONE),
            Tree("/usr/lib/x86_64-linux-gnu/perl-base", NONE),
            Tree("/usr/lib/x86_64-linux-gnu/perl", NONE),
            Tree("/usr/lib/x86_64-linux-gnu/perl5", NONE),
            Tree("/usr/share/perl", NONE),
            Tree("/usr/share/perl5", NONE),
            Tree("/usr/local/lib/x86_64-linux-gnu/perl", NONE),
            Tree("/usr/local/share/perl", NONE),
        ],
    },
    Rule {
        name: "lua",
        when: When::Program(&["lua", "lua5*", "luajit*"]),
        add: &[
            Tree("/usr/share/lua", NONE),
            Tree("/usr/local/share/lua", NONE),
            Tree("/usr/lib/x86_64-linux-gnu/lua", NONE),
            Tree("/usr/local/lib/lua", NONE),
            Tree("/usr/share/luajit-2.1", NONE),
        ],
    },
    Rule {
        name: "gawk",
        when: When::Program(&["gawk*"]),
        add: &[Tree("/usr/share/awk", NONE), Tree("/usr/lib/x86_64-linux-gnu/gawk", NONE)],
    },
    Rule {
        name: "ruby",
        when: When::Program(&["ruby*"]),
        add: &[
            Tree("/usr/lib/ruby", NONE),
            Tree("/usr/lib/x86_64-linux-gnu/ruby", NONE),
            Tree("/var/lib/gems", NONE),
            Tree("/usr/share/rubygems-integration", NONE),
        ],
    },
    Rule {
        name: "ocaml",
        when: When::Program(&["ocaml*"]),
        add: &[Tree("/usr/lib/ocaml", NONE), Tree("/usr/local/lib/ocaml", NONE)],
    },
    Rule {
        name: "tcl",
        when: When::Library(&["libtcl8*.so*"]),
        add: &[Tree("/usr/share/tcltk", NONE), Tree("/usr/lib/tcltk", NONE)],
    },
    Rule {
        name: "node",
        when: When::Program(&["node", "nodejs"]),
        add: &[Tree("/usr/share/nodejs", NONE), Tree("/usr/share/node_modules", NONE)],
    },
    Rule {
        name: "java",
        when: When::Program(&["java"]),
        add: &[Tree("{prefix}/lib", &["src.zip"]), Tree("{prefix}/conf", NONE), Path("{prefix}/release")],
    },
    Rule {
        name: "file",
        when: When::Library(&["libmagic.so*"]),
        add: &[Path("/etc/magic"), Path("/usr/share/misc/magic.mgc"), Path("/usr/share/file/magic.mgc")],
    },
    Rule { name: "bash", when: When::Program(&["bash"]), add: &[Path("/etc/bash.bashrc")] },
    Rule {
        name: "vim",
        when: When::Program(&["vim*"]),
        add: &[Tree("/usr/share/vim", NONE), Tree("/etc/vim", NONE)],
    },
];

/// How an interpreter is told which script to run.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// File names of the interpreter, links resolved (`*` allowed).
    pub programs: &'static [&'static str],
    /// With one of these there is no script among the arguments: the program text or a module's name follows.
    pub inline: &'static [&'static str],
    /// Options whose value is the next argument.
    pub valued: &'static [&'static str],
    /// Options that name a script by the next argument; the plain arguments are data then.
    pub file: &'static [&'static str],
}

/// The interpreters whose script is added: the first argument that is no option, if it is a file on the host.
pub const SCRIPTS: &[Script] = &[
    Script { programs: &["python*"], inline: &["-c", "-m"], valued: &["-W", "-X", "-Q"], file: &[] },
    Script { programs: &["perl*"], inline: &["-e", "-E"], valued: &["-I", "-M"], file: &[] },
    Script { programs: &["lua*"], inline: &[], valued: &["-e", "-l"], file: &[] },
    Script { programs: &["sh", "dash", "bash"], inline: &["-c", "-s"], valued: &["-o", "-O"], file: &[] },
    Script { programs: &["ruby*"], inline: &["-e"], valued: &["-I", "-r", "-E"], file: &[] },
    Script { programs: &["node", "nodejs"], inline: &["-e", "-p"], valued: &["-r"], file: &[] },
    Script { programs: &["*awk"], inline: &[], valued: &["-F", "-v"], file: &["-f", "--file"] },
    Script { programs: &["ocaml", "ocamlrun"], inline: &["-e"], valued: &["-I"], file: &[] },
    Script { programs: &["jq"], inline: &[], valued: &[], file: &["-f", "--from-file"] },
    Script { programs: &["bc"], inline: &["-e"], valued: &[], file: &[] },
];
