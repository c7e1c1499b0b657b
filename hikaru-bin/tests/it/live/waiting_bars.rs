//! What a command that waits shows on a terminal: bars on one that can draw, lines on one that cannot.

use std::{
    fs::{File, OpenOptions},
    io::Read as _,
    process::Stdio,
    thread,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::waiting::{build, web};
use crate::{Ran, command, ran};

/// A terminal of this size: its two ends.
fn terminal(columns: u16, rows: u16) -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).expect("granted");
    unlockpt(&ours).expect("unlocked");
    let name = ptsname(&ours, Vec::new()).expect("a name");
    let path = name.to_str().expect("UTF-8");
    let theirs = OpenOptions::new().read(true).write(true).open(path);
    let theirs = theirs.expect("its other end");
    let size = Winsize {
        ws_col: columns,
        ws_row: rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&theirs, size).expect("a size");
    (ours.into(), theirs)
}

/// Runs hikaru with standard error on a terminal of this size and kind, and gives what was shown there.
fn on_terminal(size: (u16, u16), kind: &str, args: &[&str]) -> (Ran, String) {
    let (mut ours, theirs) = terminal(size.0, size.1);
    let mut command = command(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(theirs);
    command.env("TERM", kind).env("NO_COLOR", "1");
    let shown = thread::spawn(move || {
        let (mut shown, mut some) = (Vec::new(), [0; 4096]);
        // Once nobody has the other end, reading fails.
        while let Ok(count @ 1..) = ours.read(&mut some) {
            shown.extend_from_slice(&some[..count]);
        }
        String::from_utf8_lossy(&shown).into_owned()
    });
    let child = command.spawn().expect("hikaru runs");
    let mut output = child.wait_with_output().expect("its end");
    // It holds the end that was given to the child.
    command.stderr(Stdio::null());
    let shown = shown.join().expect("what was shown");
    output.stderr = shown.replace('\r', "").into_bytes();
    (ran(&command, output), shown)
}

#[test]
fn bars_are_drawn_in_place_where_a_terminal_can() {
    let scene = web("bars", 2);
    let kubeconfig = scene.cluster.kubeconfig();
    let kubeconfig = kubeconfig.to_str().expect("UTF-8");
    let upgrade = |size, kind, image: &str| {
        let args = [
            "upgrade",
            image,
            "--wait=1h",
            "--namespace",
            &scene.namespace,
            "--kubeconfig",
            kubeconfig,
        ];
        let (ran, shown) = on_terminal(size, kind, &args);
        let ran = ran.exits(0).prints(&["1 rollout ended well"]);
        assert!(!ran.out.contains('\u{1b}'), "{}", ran.out);
        shown
    };
    let name = format!("{}/Deployment/web", scene.namespace);
    let wide = upgrade((140, 24), "xterm", &build("1.5.0", 2));
    for part in [
        &*name,
        "[########] 2/2 ready",
        "0 of 1 have ended",
        "of 1h00m",
        "\u{1b}[",
    ] {
        assert!(wide.contains(part), "expected {part:?} in {wide:?}");
    }
    let narrow = upgrade((20, 3), "xterm", &build("1.6.0", 3));
    assert!(
        narrow.contains("web 2/2 ") && !narrow.contains("[#"),
        "{narrow:?}"
    );
    let dumb = upgrade((80, 24), "dumb", &build("1.7.0", 4));
    let line = format!("{name}: complete, 2 of 2 new pods are ready");
    assert!(dumb.contains(&line) && !dumb.contains('\u{1b}'), "{dumb:?}");
}
