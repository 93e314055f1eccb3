# What the parts of the end-to-end test share. $shop is the namespace of the shops, $name the Shop at hand, $host its name on the web.

say() { printf '\n== %s  (%s)\n' "$*" "$(date +%T)"; }
fail() { printf 'e2e: %s\n' "$*" >&2; exit 1; }

k() { kubectl -n "$shop" "$@"; }
web() { k exec -i "deployment/$name-web" -c web -- "$@"; }

# until SECONDS WHAT COMMAND...: tries until the command succeeds.
until_so() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [[ $SECONDS -lt $end ]] || fail "not in time: $what"
    sleep 0.5
  done
}

# ready SECONDS: the Shop is, as of its present generation.
ready() {
  local generation
  generation=$(k get shop "$name" -o jsonpath='{.metadata.generation}')
  k wait --for=jsonpath='{.status.observedGeneration}'="$generation" "shop/$name" --timeout="$1s" >/dev/null
  k wait --for=condition=Ready "shop/$name" --timeout="$1s"
}

# forward: a port of this machine that leads to the Shop's Service. It leads to one pod of it, and ends with that one.
forward() {
  local told=$work/forward.$BASHPID
  [[ -z $forward ]] || kill "$forward" 2>/dev/null || true
  # Else what the one before said may still be read.
  : >"$told"
  kubectl -n "$shop" port-forward "service/$name" :80 >"$told" 2>"$told.errors" &
  forward=$!
  until_so 30 "a way to Service $name" grep -q Forwarding "$told"
  port=$(sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\).*/\1/p' "$told" | head -1)
}
# still_forward: anew, if it has ended.
still_forward() { kill -0 "$forward" 2>/dev/null || forward; }

send() { curl -sS --max-time 30 -H "Host: $host" -H 'Content-Type: application/json' -X "$1" "http://127.0.0.1:$port$2" "${@:3}"; }
ask() { send GET "$1" --fail "${@:2}"; }
# says PATTERN: what is read has it. All is read first: who writes into a pipe that nobody reads any longer has failed.
says() {
  local text
  text=$(cat)
  grep -q "$@" <<<"$text"
}
# field NAME: the first value of that name in the JSON that is read.
field() { grep -oE "\"$1\": *(\"[^\"]*\"|-?[0-9]+)" | head -1 | sed -E 's/^[^:]*: *"?//; s/"$//'; }

# A catalogue of two products, with so many mugs, and how they are sent.
catalogue() {
  web sh -c 'cat >/tmp/catalogue.csv' <<CSV
slug,name:en,categories,sku,price:USD,on_hand
e2e-lamp,Lamp of the end-to-end test,Lighting,E2E-LAMP,49.00,7
e2e-mug,Mug of the end-to-end test,Kitchen,E2E-MUG,12.50,$1
CSV
  web panono-shop import /tmp/catalogue.csv --format panono
}
sale() {
  local zone
  token=$(web panono-shop token create e2e --scope read:taxes,write:taxes,read:shipping,write:shipping,read:orders --ttl 4h)
  staff() { send POST "/api/v1/admin/$1" -H "Authorization: Bearer $token" -d "$2"; }
  zone=$(staff zones '{"name": "Germany", "prices_include_tax": true, "areas": [{"country": "DE", "region": ""}],
    "rates": [{"tax_category": "standard", "name": "VAT", "rate": 190000}]}' | field id) || true
  [[ -n $zone ]] || fail "there is no zone"
  staff shipping-methods "{\"code\": \"post\", \"zone_id\": $zone, \"carrier\": \"flat\", \"status\": \"active\", \"tax_category\": \"standard\",
    \"names\": {\"en\": \"Post\", \"zh-CN\": \"邮政\"}, \"days_min\": 1, \"days_max\": 3, \"position\": 1,
    \"rates\": [{\"currency\": \"USD\", \"from_grams\": 0, \"amount\": 500}]}" | says '"post"' || fail "there is no way to send a parcel"
}

# order QUANTITY: buys mugs and prints the order's number, or what went wrong on the error output.
order() {
  local cart answer total order
  answer=$(send POST /api/v1/carts -d "{\"currency\": \"USD\", \"lines\": [{\"sku\": \"E2E-MUG\", \"quantity\": $1}]}")
  cart=$(field id <<<"$answer")
  [[ -n $cart ]] || { echo "there is no cart: $answer" >&2; return 1; }
  answer=$(send PATCH "/api/v1/carts/$cart" -d '{"email": "ada@example.com", "shipping_method": "post", "shipping_address":
    {"name": "Ada Buyer", "line1": "Lindenstraße 1", "city": "Berlin", "postcode": "10969", "country": "DE"}}')
  total=$(grep -oE '"totals": *\{[^}]*\}' <<<"$answer" | field total)
  [[ -n $total && $total -gt 1250 ]] || { echo "the cart has no total: $answer" >&2; return 1; }
  order=$(send POST "/api/v1/carts/$cart/complete" -H "Idempotency-Key: \"$cart\"" \
    -d "{\"expected_total\": $total, \"payment\": {\"provider\": \"test\", \"token\": \"4242424242424242\"}}")
  [[ $(field status <<<"$order") == placed ]] || { echo "the order was not placed: $order" >&2; return 1; }
  field number <<<"$order"
}
