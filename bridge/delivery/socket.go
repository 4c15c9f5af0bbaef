package delivery

// socket is a subscriber's connection as its shard sees it. No method blocks, and only the shard calls them.
type socket interface {
	// write takes as much of p as there is room for. Fewer bytes than len(p) without an error mean that it is full:
	// the shard is told when there is room again.
	write(p []byte) (n int, err error)
	// read fills p with what has come: 0 without an error when there is nothing more yet, in which case the shard is
	// told when there is; io.EOF once the peer has ended its side.
	read(p []byte) (n int, err error)
	// flushed reports whether all that write took is with the kernel.
	flushed() bool
	// shut ends the bridge's side, behind everything that was written.
	shut()
	// abort ends the connection so that the kernel keeps nothing for the peer (RST). close must follow.
	abort()
	// close lets go of the connection. It is called once, and nothing after it.
	close()
}
