# Purging
#
# The floor is raised before anything is purged. An answer that was under way then is older than the floor when it
# arrives, and an answer that arrived before then is found by its tags (or, between the two, by vcl_deliver).

sub panono_recv_purge {
	# Both: behind a PROXY protocol listener the peer is the balancer, and only the client counts.
	if (client.ip !~ purgers || remote.ip !~ purgers) {
		return (synth(403));
	}
@PURGE_TOKEN@	unset req.http.Panono-Purge-Token;
	if (req.http.Panono-Sequence !~ "^[0-9]{1,15}$" ||
	    (req.http.Panono-Purge && req.http.Panono-Purge !~ "^(?:soft|hard)$") ||
	    req.http.Surrogate-Key !~ "^[A-Za-z0-9_.:-]*(?: +[A-Za-z0-9_.:-]+)* *$") {
		return (synth(400));
	}
	# vmod var has no compare-and-set. A bucket with one token is a lock; its period is the lease in case the token is lost.
	if (vsthrottle.is_denied("floor", 1, 10s)) {
		if (req.restarts < 4) {
			set req.http.Panono-Lock = "1";
			return (restart);
		}
		return (synth(503));
	}
	if (std.integer(req.http.Panono-Sequence, 0) > std.integer(var.global_get("floor"), 0)) {
		var.global_set("floor", "" + std.integer(req.http.Panono-Sequence, 0));
	}
	var.global_set("purged", "" + std.real(time=now));
	vsthrottle.return_token("floor", 1, 10s);
	if (req.http.Panono-Purge == "hard") {
		set req.http.Panono-Purged = xkey.purge(req.http.Surrogate-Key);
	} else {
		set req.http.Panono-Purged = xkey.softpurge(req.http.Surrogate-Key);
	}
	return (synth(200));
}
