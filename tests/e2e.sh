#!/usr/bin/env bash
# A shop on a real cluster, from nothing to nothing: `make e2e`.
#
#   KUBECONFIG          the cluster: any, kind included
#   E2E_SHOP_IMAGE      images that the cluster can fetch, or has; without them they are built with `make images`
#   E2E_OPERATOR_IMAGE
#   E2E_LOAD            a command that brings an image into the cluster, such as `kind load docker-image`; gets the image's name
#
# It needs kubectl, and helm, or Python with the package helm-python-sdk.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\n== %s\n' "$*"; }
fail() { printf 'e2e: %s\n' "$*" >&2; exit 1; }
command -v kubectl >/dev/null || fail "kubectl is missing"
kubectl version >/dev/null 2>&1 || fail "there is no cluster: set KUBECONFIG"

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
forward=
tidy() {
  local code=$?
  [[ -z $forward ]] || kill "$forward" 2>/dev/null || true
  if [[ $code != 0 ]]; then
    say "what it looked like in the end"
    kubectl -n "$shop" get shop,pods,events -o wide || true
    kubectl -n "$system" logs -l app.kubernetes.io/name=panono-operator --tail=40 || true
  fi
  kubectl delete namespace "$shop" "$system" --ignore-not-found --wait=false >/dev/null
  kubectl delete clusterrole,clusterrolebinding -l app.kubernetes.io/name=panono-operator,app.kubernetes.io/instance=e2e --ignore-not-found >/dev/null
  rm -rf "$work"
  exit "$code"
}
trap tidy EXIT

say "the operator"
kubectl create namespace "$system"
kubectl create namespace "$shop"
kubectl label namespace "$system" "$shop" pod-security.kubernetes.io/enforce=restricted
repository=${E2E_OPERATOR_IMAGE%:*} tag=${E2E_OPERATOR_IMAGE##*:}
if command -v helm >/dev/null; then
  helm template e2e charts/panono-operator --namespace "$system" \
    --set "image.repository=$repository,image.tag=$tag" >"$work/operator.yaml"
else
  python3 - "$system" "$repository" "$tag" >"$work/operator.yaml" <<'P'
import sys
import helm_python
_, namespace, repository, tag = sys.argv
with helm_python.Chart.load("charts/panono-operator") as chart:
    files = chart.render({"image": {"repository": repository, "tag": tag}}, name="e2e", namespace=namespace)
    print("\n---\n".join(files.values()))
P
fi
kubectl apply --server-side -f "$work/operator.yaml"
kubectl wait --for=condition=Established crd/shops.panono.dev crd/shopactions.panono.dev --timeout=1m
kubectl -n "$system" rollout status deployment -l app.kubernetes.io/name=panono-operator --timeout=5m

say "a shop"
sed "s#image: .*panono-shop.*#image: $E2E_SHOP_IMAGE#" manifests/smallest.yaml | kubectl -n "$shop" apply -f -
kubectl -n "$shop" wait --for=condition=Ready shop/demo --timeout=10m
kubectl -n "$shop" get shop -o wide

say "a catalogue"
kubectl -n "$shop" exec deployment/demo-web -c web -- panono-shop seed --demo

say "visitors, through the edge"
kubectl -n "$shop" port-forward service/demo :80 >"$work/forward" &
forward=$!
for _ in $(seq 100); do grep -q Forwarding "$work/forward" && break; sleep 0.2; done
port=$(sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\).*/\1/p' "$work/forward" | head -1)
[[ -n $port ]] || fail "the Service cannot be reached"
ask() { curl -sS --fail --max-time 20 -H 'Host: demo.example.com' "http://127.0.0.1:$port$1"; }
for _ in $(seq 60); do ask /api/v1/catalog/products | grep -q '"slug"' && break; sleep 1; done
ask /api/v1/catalog/products | grep -q '"slug"' || fail "there are no products"
ask /en | grep -q '<html' || fail "there is no page"
curl -sS -o /dev/null -D - -H 'Host: demo.example.com' "http://127.0.0.1:$port/en" | grep -qi '^cache-status: panono-edge; hit' || fail "the edge stores nothing"

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
