"""Protocol engines: bytes in, requests out; a reply is bytes. No socket, no clock."""
