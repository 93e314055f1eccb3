#!/usr/bin/env bash
# Shops on a real cluster, from nothing to nothing: `make e2e`.
#
#   KUBECONFIG          the cluster: any, kind included
#   E2E_SHOP_IMAGE      images that the cluster can fetch, or has; without them they are built with `make images`
#   E2E_OPERATOR_IMAGE
#   E2E_LOAD            a command that brings an image into the cluster, such as `kind load docker-image`; gets the image's name
#   E2E_DNS             a command that takes the cluster's DNS away (`off`) and brings it back (`on`); without it that part is left out
#   E2E_PARTS           which: `smallest` (tests/e2e/smallest.sh), `group` (tests/e2e/group.sh), or both
#
# It needs kubectl, curl, and helm, which `make tools` brings where it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/e2e/common.sh
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
  touch "$work/stop"
  # Whatever ended in the middle of it.
  [[ -z ${E2E_DNS:-} ]] || $E2E_DNS on || true
  [[ -z $forward ]] || kill "$forward" 2>/dev/null || true
  if [[ $code != 0 ]]; then
    say "what it looked like in the end"
    kubectl -n "$shop" get shop,shopaction,pods -o wide || true
    kubectl -n "$shop" get events --field-selector type=Warning \
      -o custom-columns=AT:.lastTimestamp,OBJECT:.involvedObject.name,REASON:.reason,MESSAGE:.message | tail -30 || true
    kubectl -n "$shop" get shop -o jsonpath='{range .items[*]}{.status}{"\n"}{end}' || true
    kubectl -n "$shop" logs -l panono.dev/component=database --prefix --tail=400 | grep -v '\[System\]\|\[Warning\]' | tail -60 || true
    tail -5 "$work/refused" 2>/dev/null || true
    kubectl -n "$shop" logs -l panono.dev/component=web --prefix --tail=200 | grep -E '"(ERROR|WARN)"' | tail -20 || true
    kubectl -n "$system" logs -l app.kubernetes.io/name=panono-operator --tail=30 || true
  fi
  # Without its operator nobody takes a Shop's finalizer off, and its namespace would stay.
  if ! kubectl -n "$shop" delete shop --all --timeout=3m >/dev/null 2>&1; then
    kubectl -n "$shop" get shop -o name 2>/dev/null |
      xargs -r -I{} kubectl -n "$shop" patch {} --type merge --patch '{"metadata": {"finalizers": null}}' || true
  fi
  "$helm" uninstall e2e --namespace "$system" >/dev/null 2>&1 || true
  kubectl delete namespace "$shop" "$system" --ignore-not-found --timeout=3m >/dev/null || true
  # Helm keeps definitions, so that no Shop goes with them. Those that were here before stay.
  [[ $definitions == false ]] || kubectl get crd -o name | grep '\.panono\.dev$' | xargs -r kubectl delete --wait=false >/dev/null
  wait
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

for part in ${E2E_PARTS:-smallest group}; do
  . "tests/e2e/$part.sh"
done
say "done"
