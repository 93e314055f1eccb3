#!/usr/bin/env bash
# A shop on a real cluster, from nothing to nothing: `make e2e`.
#
#   KUBECONFIG          the cluster: any, kind included
#   E2E_SHOP_IMAGE      images that the cluster can fetch, or has; without them they are built with `make images`
#   E2E_OPERATOR_IMAGE
#   E2E_LOAD            a command that brings an image into the cluster, such as `kind load docker-image`; gets the image's name
#
# It needs kubectl, curl, and helm, which `make tools` brings where it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\n== %s\n' "$*"; }
fail() { printf 'e2e: %s\n' "$*" >&2; exit 1; }
command -v kubectl >/dev/null || fail "kubectl is missing"
kubectl version >/dev/null 2>&1 || fail "there is no cluster: set KUBECONFIG"
export KUBECONFIG=${KUBECONFIG:-$HOME/.kube/config}
helm=$(command -v helm || echo .tools/bin/helm)
[[ -x $helm ]] || tests/tools.sh helm

if [[ -z ${E2E_SHOP_IMAGE:-} || -z ${E2E_OPERATOR_IMAGE:-} ]]; then
  say "building the images"
  make images
  E2E_SHOP_IMAGE=${E2E_SHOP_IMAGE:-panono-shop:0.1.0} E2E_OPERATOR_IMAGE=${E2E_OPERATOR_IMAGE:-panono-operator:0.1.0}
fi
if [[ -n ${E2E_LOAD:-} ]]; then
  $E2E_LOAD "$E2E_SHOP_IMAGE"
  $E2E_LOAD "$E2E_OPERATOR_IMAGE"
fi

system=panono-e2e-$RANDOM shop=shop-e2e-$RANDOM
work=$(mktemp -d)
forward= definitions=true
! kubectl get crd shops.panono.dev >/dev/null 2>&1 || definitions=false
tidy() {
  local code=$?
  [[ -z $forward ]] || kill "$forward" 2>/dev/null || true
  if [[ $code != 0 ]]; then
    say "what it looked like in the end"
    kubectl -n "$shop" get shop,pods,events -o wide || true
    kubectl -n "$system" logs -l app.kubernetes.io/name=panono-operator --tail=40 || true
  fi
  "$helm" uninstall e2e --namespace "$system" >/dev/null 2>&1 || true
  kubectl delete namespace "$shop" "$system" --ignore-not-found --wait=false >/dev/null
  # Helm keeps definitions, so that no Shop goes with them. Those that were here before stay.
  [[ $definitions == false ]] || kubectl get crd -o name | grep '\.panono\.dev$' | xargs -r kubectl delete --wait=false >/dev/null
  rm -rf "$work"
  exit "$code"
}
trap tidy EXIT

say "the operator"
kubectl create namespace "$system"
kubectl create namespace "$shop"
kubectl label namespace "$system" "$shop" pod-security.kubernetes.io/enforce=restricted
cat >"$work/values.yaml" <<VALUES
image: {repository: "${E2E_OPERATOR_IMAGE%:*}", tag: "${E2E_OPERATOR_IMAGE##*:}"}
crds: {install: $definitions}
VALUES
"$helm" install e2e charts/panono-operator --namespace "$system" --values "$work/values.yaml"
kubectl wait --for=condition=Established crd/shops.panono.dev --timeout=1m
kubectl -n "$system" rollout status deployment -l app.kubernetes.io/name=panono-operator --timeout=5m

say "a shop"
sed "s#image: .*panono-shop.*#image: $E2E_SHOP_IMAGE#" manifests/smallest.yaml | kubectl -n "$shop" apply -f -
kubectl -n "$shop" wait --for=condition=Ready shop/demo --timeout=10m
kubectl -n "$shop" get shop -o wide

say "a catalogue"
web() { kubectl -n "$shop" exec -i deployment/demo-web -c web -- "$@"; }
web sh -c 'cat >/tmp/catalogue.csv' <<'CSV'
slug,name:en,categories,sku,price:USD,on_hand
e2e-lamp,Lamp of the end-to-end test,Lighting,E2E-LAMP,49.00,7
e2e-mug,Mug of the end-to-end test,Kitchen,E2E-MUG,12.50,3
CSV
web panono-shop import /tmp/catalogue.csv --format panono

say "visitors, through the edge"
kubectl -n "$shop" port-forward service/demo :80 >"$work/forward" &
forward=$!
for _ in $(seq 100); do grep -q Forwarding "$work/forward" && break; sleep 0.2; done
port=$(sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\).*/\1/p' "$work/forward" | head -1)
[[ -n $port ]] || fail "the Service cannot be reached"
send() { curl -sS --max-time 30 -H 'Host: demo.example.com' -H 'Content-Type: application/json' -X "$1" "http://127.0.0.1:$port$2" "${@:3}"; }
ask() { send GET "$1" --fail; }
# field NAME: the first value of that name in the JSON that is read.
field() { grep -oE "\"$1\": *(\"[^\"]*\"|-?[0-9]+)" | head -1 | sed -E 's/^[^:]*: *"?//; s/"$//'; }
for _ in $(seq 60); do ask /api/v1/catalog/products/e2e-mug | grep -q 'E2E-MUG' && break; sleep 1; done
ask /api/v1/catalog/products/e2e-mug | grep -q 'E2E-MUG' || fail "what was imported is not there"
ask /en | grep -q '<html' || fail "there is no page"
hit() { send GET "$1" -o /dev/null -D - | grep -qi '^cache-status:.*panono-edge; hit'; }
# What was imported is still being purged.
for _ in $(seq 60); do hit /en && break; sleep 1; done
hit /en || fail "the edge stores nothing"

say "an order, through the Service"
token=$(web panono-shop token create e2e --scope read:taxes,write:taxes,read:shipping,write:shipping --ttl 1h)
staff() { send POST "/api/v1/admin/$1" -H "Authorization: Bearer $token" -d "$2"; }
zone=$(staff zones '{"name": "Germany", "prices_include_tax": true, "areas": [{"country": "DE", "region": ""}],
  "rates": [{"tax_category": "standard", "name": "VAT", "rate": 190000}]}' | field id)
[[ -n $zone ]] || fail "there is no zone"
staff shipping-methods "{\"code\": \"post\", \"zone_id\": $zone, \"carrier\": \"flat\", \"status\": \"active\", \"tax_category\": \"standard\",
  \"names\": {\"en\": \"Post\", \"zh-CN\": \"邮政\"}, \"days_min\": 1, \"days_max\": 3, \"position\": 1,
  \"rates\": [{\"currency\": \"USD\", \"from_grams\": 0, \"amount\": 500}]}" | grep -q '"post"' || fail "there is no way to send a parcel"
cart=$(send POST /api/v1/carts -d '{"lines": [{"sku": "E2E-MUG", "quantity": 2}]}' | field id)
[[ -n $cart ]] || fail "there is no cart"
answer=$(send PATCH "/api/v1/carts/$cart" -d '{"email": "ada@example.com", "shipping_method": "post", "shipping_address":
  {"name": "Ada Buyer", "line1": "Lindenstraße 1", "city": "Berlin", "postcode": "10969", "country": "DE"}}')
total=$(grep -oE '"totals": *\{[^}]*\}' <<<"$answer" | field total)
[[ $total -gt 2500 ]] || fail "the cart has no total: $answer"
order=$(send POST "/api/v1/carts/$cart/complete" -H "Idempotency-Key: \"$cart\"" \
  -d "{\"expected_total\": $total, \"payment\": {\"provider\": \"test\", \"token\": \"4242424242424242\"}}")
[[ $(field status <<<"$order") == placed ]] || fail "the order was not placed: $order"
number=$(field number <<<"$order")
ask "/api/v1/catalog/availability?sku=E2E-MUG" | grep -q '1' || fail "what was bought is still there"
echo "order $number for $total"

say "a change of the Shop, and a change by hand"
kubectl -n "$shop" patch shop demo --type=merge -p '{"spec":{"web":{"replicas":3},"name":"Another name"}}'
kubectl -n "$shop" wait --for=jsonpath='{.status.web.ready}'=3 shop/demo --timeout=5m
kubectl -n "$shop" wait --for=condition=Ready shop/demo --timeout=5m
kubectl -n "$shop" delete service demo-web
for _ in $(seq 50); do kubectl -n "$shop" get service demo-web >/dev/null 2>&1 && break; sleep 0.1; done
kubectl -n "$shop" get service demo-web >/dev/null || fail "a Service that was deleted is not made again"

say "the end"
kubectl -n "$shop" delete shop demo --wait
left() { kubectl -n "$shop" get all,configmap,secret,serviceaccount,ingress,networkpolicy,poddisruptionbudget,horizontalpodautoscaler,persistentvolumeclaim -l app.kubernetes.io/managed-by=panono-operator -o name 2>/dev/null | sort; }
kept=$'persistentvolumeclaim/demo-media\nsecret/demo-credentials'
for _ in $(seq 120); do [[ $(left) == "$kept" ]] && break; sleep 1; done
[[ $(left) == "$kept" ]] || fail "left over: $(left | tr '\n' ' ')"
kubectl -n "$shop" get persistentvolumeclaim data-demo-database-0 >/dev/null || fail "the data is gone"
say "done"
