# Lookup

sub vcl_hash {
	hash_data("@KEY_SPACE@");
@KEY_HOST@	hash_data(req.url);
	return (lookup);
}

sub vcl_hit {
	if (req.restarts == 0) {
		# It was there before this request came, and no purge can have missed it: it is older than the time in which one can, or
		# there was none. (See panono_hit_before_a_purge. The floor of an object is never above that of now.)
		if (obj.ttl > 0s && (
		    (obj.age > @LOOK_AGAIN@s && obj.keep > @KEEP@s + 0.5s) ||
		    (obj.time <= req.time && std.strstr(obj.http.Panono-Edge, " floor " + var.global_get("floor") + ";")))) {
			return (deliver);
		}
		return (restart);
	}
	var.set_real("expired", std.real(time=req.time) + std.real(duration=obj.ttl));
	if (obj.http.Panono-Edge-Failure) {
		# Not a page but the memory of a failure a moment ago. See panono_failed.
		if (obj.http.Panono-Edge-Failure == "1" && !req.http.Panono-Stale) {
			set req.http.Panono-Stale = "1";
			set req.http.Panono-Forward = "stale";
			set req.http.Panono-Forward-Status = obj.status;
			return (restart);
		}
		set req.http.Panono-Forward = "miss";
		set req.http.Panono-Collapsed = "1";
		return (deliver);
	}
	if (req.http.Panono-Stale) {
		if (obj.ttl + std.duration(regsub(obj.http.Panono-Edge, "@EDGE_TIMES@", "\3"), 0s) >= 0s) {
			set req.http.Panono-Detail = "stale-if-error";
			return (deliver);
		}
		return (synth(503));
	}
	if (obj.ttl > 0s) {
		if (std.integer(regsub(obj.http.Panono-Edge, "@EDGE_TIMES@", "\5"), 0) < std.integer(var.global_get("floor"), 0)) {
			call panono_hit_before_a_purge;
		}
		if (std.real(time=req.time) < std.real(regsub(obj.http.Panono-Edge, "@EDGE_TIMES@", "\1"), 0.0) - 0.001 && !req.http.Panono-Forward) {
			# Stored (to the millisecond) after this request arrived: it has waited for the fetch of another one.
			set req.http.Panono-Forward = "miss";
		}
		if (req.http.Panono-Forward) {
			set req.http.Panono-Collapsed = "1";
		}
		return (deliver);
	}
	# Stale. Soft-purged and expired objects look the same, and a soft purge passes over an object that has expired already.
	# So it counts as expired, and may be shown while it is refreshed, only if no purge at all came since it went stale.
	# The second covers the precision of the stored times.
	if (!req.http.Panono-Fetch &&
	    obj.ttl + std.duration(regsub(obj.http.Panono-Edge, "@EDGE_TIMES@", "\2"), 0s) >= 0s &&
	    std.real(var.global_get("purged"), 0.0) < var.get_real("expired") - 1.0) {
		set req.http.Panono-Detail = "stale-while-revalidate";
		return (deliver);
	}
	if (req.http.Cache-Control ~ "(?i)(?:^|[ \t,])only-if-cached(?:$|[ \t,])") {
		return (synth(504));
	}
	if (obj.ttl + std.duration(regsub(obj.http.Panono-Edge, "@EDGE_TIMES@", "\3"), 0s) >= 0s) {
		set req.http.Panono-Have-Stale = "1";
	}
	set req.http.Panono-Fetch = "1";
	set req.http.Panono-Forward = "stale";
	return (restart);
}

# A purge came after the floor was looked at for this object. If it found the object by its tags, nobody gets here. It did not
# find it if it came before the object was in the index, which is after others may hit it. The request that fetched the object
# looks again when it is in the index (see vcl_deliver), and until then nobody else may have it. A background fetch has
# no such request, so what it brought is fetched once more. The object goes for good: as a soft-purged one it would look like
# one that expired after the purge.
sub panono_hit_before_a_purge {
	if (obj.http.Panono-Edge ~ " background$" || (
	    std.real(time=now) < std.real(regsub(obj.http.Panono-Edge, "@EDGE_TIMES@", "\1"), 0.0) + @LOOK_AGAIN@.0 &&
	    vsthrottle.remaining(regsub(obj.http.Panono-Edge, "@EDGE_TIMES@", "\4"), 1, @LOOK_AGAIN@s) == 0)) {
		set req.http.Panono-Purged = xkey.purge(req.http.Panono-Target-Tag);
		if (req.http.Panono-Passed) {
			# It was hit once more before it was in the index.
			set req.http.Panono-Passed = "2";
		} else {
			set req.http.Panono-Passed = "1";
		}
		set req.http.Panono-Fetch = "1";
		set req.http.Panono-Forward = "stale";
		return (restart);
	}
}

sub vcl_miss {
	if (req.restarts == 0) {
		return (restart);
	}
	if (req.http.Panono-Stale) {
		return (synth(503));
	}
	if (req.http.Cache-Control ~ "(?i)(?:^|[ \t,])only-if-cached(?:$|[ \t,])") {
		return (synth(504));
	}
	if (!req.http.Panono-Forward) {
		set req.http.Panono-Forward = "miss";
	}
	if (req.is_hitmiss) {
		set req.http.Panono-Detail = "hit-for-miss";
	}
	unset req.http.Panono-Collapsed;
	set req.http.Panono-Fetched = "1";
	return (fetch);
}

sub vcl_pass {
	if (req.restarts == 0) {
		return (restart);
	}
	if (req.method == "GET" || req.method == "HEAD") {
		set req.http.Panono-Forward = "bypass";
	} else {
		set req.http.Panono-Forward = "method";
	}
	set req.http.Panono-Fetched = "1";
	return (fetch);
}

sub vcl_pipe {
	# Nothing leads here. A pipe would let a connection escape all that is above.
	return (synth(405));
}
