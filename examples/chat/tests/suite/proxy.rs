//! A network that lets nothing out but through a proxy, which the environment names.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use serde_json::json;

use crate::support::{Person, World, command};

/// A proxy that leads to one relay, whatever it is asked for; gives its address, and what it is
/// asked.
fn proxy(relay: &str) -> (String, Receiver<String>) {
    let relay = relay.trim_start_matches("ws://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, asked) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                head.extend_from_slice(&byte);
            }
            // A test that heard enough listens no more.
            let _ = tell.send(String::from_utf8(head).unwrap());
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let server = TcpStream::connect(&relay).unwrap();
            pass_on(client.try_clone().unwrap(), server.try_clone().unwrap());
            pass_on(server, client);
        }
    });
    (address, asked)
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

#[test]
fn a_device_reaches_its_relay_through_the_proxy_of_its_environment() {
    let world = World::start();
    let (address, asked) = proxy(&world.relay);
    let mut through = command(&world.data("ada"), "ws://relay.invalid:8787");
    through.env("HTTP_PROXY", format!("http://{address}")).env_remove("NO_PROXY");
    let mut ada = Person::run(through.env_remove("no_proxy"));
    ada.call("account.create", json!({ "address": "ada", "name": "Ada" }));
    ada.wait("up_to_date");
    let asked = asked.recv().unwrap();
    assert!(asked.starts_with("CONNECT relay.invalid:8787 HTTP/1.1\r\n"), "{asked}");

    let mut straight = command(&world.data("bob"), "ws://relay.invalid:8787");
    straight
        .env("HTTP_PROXY", format!("http://{address}"))
        .env("NO_PROXY", "example.org, .invalid");
    let mut bob = Person::run(&mut straight);
    bob.call("account.create", json!({ "address": "bob", "name": "Bob" }));
    let told = bob.hear(|notice| notice["method"] == "connection").unwrap();
    let told = told["params"]["message"].as_str().unwrap();
    assert!(told.contains("can't be reached"), "without the proxy nobody knows the name: {told}");
}
