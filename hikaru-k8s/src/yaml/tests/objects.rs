//! Which workloads are found, and what is said of those that cannot be read.

use super::{deployment, reads};

const HEAD: &str = "apiVersion: apps/v1\nkind: Deployment\n";

#[test]
fn all_that_the_rules_read_is_found() {
    reads(
        r#"# the shop
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  labels:
    owner: acme
    repo: "web"
    branch: main
    hikaru.dev/upgrade: manual
    high-water.hikaru.dev/web: 1.4.0_7_aa6c0d3f
    app: 42
  annotations:
    hikaru.dev/constraint: ~1.4
    hikaru.dev/last-upgrade: '{"at": "x"}'
    other: true
spec:
  replicas: 2
  template:
    metadata:
      labels: {owner: pod, repo: pod, branch: pod}
    spec:
      initContainers:
        - name: migrate
          image: acme/migrate:1 # before
      containers:
        - name: web
          image: acme/web:1
        - {image: 'acme/side:2', name: side}
"#,
        &[
            "1 shop/Deployment/web [acme/web/main] {l upgrade=manual} {a constraint=~1.4} web(1.4.0_7_aa6c0d3f)=acme/web:1@29:18 side=acme/side:2@30:19 init:migrate=acme/migrate:1@26:18",
        ],
    );
}

#[test]
fn kinds_lists_and_documents() {
    reads(
        r#"---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: a}
spec: {template: {spec: {containers: [{name: c, image: "i:1"}]}}}
---
# nothing here
---
apiVersion: apps/v1beta2
kind: DaemonSet
metadata: {name: b, namespace: }
spec: {template: {spec: {containers: [{name: c, image: i}]}}}
...
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: d}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: i}]}}}}}
---
apiVersion: v1
kind: List
items:
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: e}}
- {apiVersion: v1, kind: Service, metadata: {name: e}}
- apiVersion: v1
  kind: List
  items: [{apiVersion: apps/v1, kind: Deployment, metadata: {name: f}}]
- a text
---
apiVersion: apps/v1
kind: DeploymentList
items: [{metadata: {name: g}}, {metadata: {}}]
"#,
        &[
            "1 default/StatefulSet/a c=i:1@5:56",
            "3 default/DaemonSet/b c=i@12:56",
            "4 default/CronJob/d c=i@18:77",
            "5.1 default/Deployment/e",
            "5.3.1 default/Deployment/f",
            "6.1 default/Deployment/g",
            "32:32: a Deployment without a name: expected metadata.name",
        ],
    );
}

#[test]
fn what_is_not_ours_is_passed_over() {
    for text in [
        "",
        "# only a comment\n",
        "---\n---\n",
        "a text",
        "- a\n- list\n",
        "- op: replace\n  path: /spec/replicas\n  value: 2\n",
        "- {apiVersion: v1, kind: Service}\n",
        "kind: [not, kubernetes]\n",
        "apiVersion: example.org/v1\nkind: Deployment\nspec: 5\n",
        "apiVersion: v1\nkind: Deployment\n",
        "apiVersion: batch/v1\nkind: Deployment\n",
        "apiVersion: v1\nkind: Service\nspec: 5\n",
        "apiVersion: v1\nkind: List\n",
        "replicas: 2\nimage: {repository: acme/web}\n",
    ] {
        reads(text, &[]);
    }
    // The API server takes null for the empty string: an opt-out that lost its value is odd, not
    // absent.
    reads(
        &format!(
            "{HEAD}metadata: {{name: web, labels: {{hikaru.dev/upgrade: , owner: a, repo: ~, branch: b}}}}\n"
        ),
        &["1 default/Deployment/web [a//b] {l upgrade=}"],
    );
    // Nothing to judge is no fault.
    reads(
        &format!("{HEAD}metadata: {{name: web}}\n"),
        &["1 default/Deployment/web"],
    );
    reads(
        &deployment("env: []\n        - name: side\n          image:\n"),
        &["1 default/Deployment/web"],
    );
}

#[test]
fn line_ends_byte_order_mark_and_foreign_letters_do_not_move_a_place() {
    let text = deployment("image: acme/web:1 # größer\n");
    let expected = ["1 default/Deployment/web web=acme/web:1@10:18"];
    reads(&text, &expected);
    reads(&text.replace('\n', "\r\n"), &expected);
    reads(&text.replace('\n', "\r"), &expected);
    reads(&format!("\u{feff}{text}"), &expected);
    reads(
        &text.replace("name: web\nspec", "name: web\n# 数\nspec"),
        &["1 default/Deployment/web web=acme/web:1@11:18"],
    );
    reads(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{env: [{name: ü, value: 数数}], name: web, image: 'a:1'}]}}}",
        &["1 default/Deployment/web web=a:1@4:87"],
    );
}

#[test]
fn json_is_read_too() {
    reads(
        "{\n\t\"apiVersion\": \"apps\\/v1\",\n\t\"kind\": \"Deployment\",\n\t\"metadata\": {\"name\": \"w\\u0065b\", \"labels\": {\"owner\": \"a\", \"repo\": \"b\", \"branch\": \"c\"}},\n\t\"spec\": {\"template\": {\"spec\": {\"containers\": [\n\t\t{\"name\": \"web\", \"image\": \"acme\\/web:1\"}\n\t]}}}\n}\n",
        &["1 default/Deployment/web [a/b/c] web=acme/web:1@6:28"],
    );
}

#[test]
fn aliases_and_merges_are_followed_for_reading() {
    reads(
        r#"x-labels: &labels {owner: a, repo: b, branch: main}
x-image: &image acme/web:1
x-container: &container {name: nobody, image: acme/side:1}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels:
    <<: *labels
    branch: dev
spec:
  template:
    spec:
      containers:
        - name: web
          image: *image
        - <<: [*container]
          name: side
"#,
        &["1 default/Deployment/web [a/b/dev] web=acme/web:1@2:17 side=acme/side:1@3:47"],
    );
}

#[test]
fn each_odd_object_is_named_with_its_place() {
    let labeled = |label: &str| format!("{HEAD}metadata: {{name: web, labels: {{{label}}}}}\n");
    let pod = |pod: &str| {
        format!("{HEAD}metadata: {{name: web}}\nspec: {{template: {{spec: {{{pod}}}}}}}\n")
    };
    let table: &[(String, &str)] = &[
        (
            HEAD.to_owned(),
            "1:1: a Deployment without a name: expected metadata.name",
        ),
        (
            format!("{HEAD}metadata: {{name: ''}}\n"),
            "1:1: a Deployment without a name: expected metadata.name",
        ),
        (
            format!("{HEAD}metadata: web\n"),
            "3:11: metadata must be a map, found the text \"web\"",
        ),
        (
            format!("{HEAD}metadata: {{name: 42}}\n"),
            "3:18: metadata.name must be a string, found the number 42: quote it",
        ),
        (
            format!("{HEAD}metadata: {{name: web, namespace: on}}\n"),
            "3:34: metadata.namespace must be a string, found the boolean on: quote it",
        ),
        (
            "kind: Deployment\nmetadata: {name: web}\n".to_owned(),
            "1:7: a Deployment without apiVersion: expected apps/v1",
        ),
        (
            "kind: Deployment\napiVersion: 1.20\n".to_owned(),
            "2:13: apiVersion must be a string, found the number 1.20: quote it",
        ),
        (
            labeled("owner: 42"),
            "3:39: Deployment web: label owner must be a string, found the number 42: quote it",
        ),
        (
            labeled("branch: 1.20"),
            "3:40: Deployment web: label branch must be a string, found the number 1.20: quote it",
        ),
        (
            labeled("repo: 017"),
            "3:38: Deployment web: label repo must be a string, found the number 017: quote it",
        ),
        (
            labeled("owner: yes"),
            "3:39: Deployment web: label owner must be a string, found the boolean yes: quote it",
        ),
        (
            labeled("hikaru.dev/upgrade: {}"),
            "3:52: Deployment web: label hikaru.dev/upgrade must be a string, found a map",
        ),
        (
            labeled("high-water.hikaru.dev/web: 1"),
            "3:59: Deployment web: label high-water.hikaru.dev/web must be a string, found the number 1: quote it",
        ),
        (
            labeled("owner: !secret x"),
            "3:47: Deployment web: label owner must be a string, found a value with a tag of its own",
        ),
        (
            labeled("owner: a, repo: b, owner: c"),
            "3:51: Deployment web: the key owner stands twice in one map, first on line 3: remove one of them",
        ),
        (
            format!("{HEAD}metadata: {{name: web, annotations: {{hikaru.dev/constraint: 1.4}}}}\n"),
            "3:60: Deployment web: annotation hikaru.dev/constraint must be a string, found the number 1.4: quote it",
        ),
        (
            format!("{HEAD}metadata: {{name: web, labels: [a]}}\n"),
            "3:31: Deployment web: metadata.labels must be a map, found a list",
        ),
        (
            format!("{HEAD}metadata: {{name: web}}\nspec: {{}}\nspec: {{}}\n"),
            "5:1: Deployment web: the key spec stands twice in one map, first on line 4: remove one of them",
        ),
        (
            format!("{HEAD}kind: Deployment\n"),
            "3:1: the key kind stands twice in one map, first on line 2: remove one of them",
        ),
        (
            format!("{HEAD}metadata: {{name: web}}\nspec: {{template: []}}\n"),
            "4:18: Deployment web: spec.template must be a map, found a list",
        ),
        (
            pod("containers: {}"),
            "4:38: Deployment web: containers must be a list, found a map",
        ),
        (
            pod("containers: [web]"),
            "4:39: Deployment web: containers[0] must be a map, found the text \"web\"",
        ),
        (
            pod("containers: [~]"),
            "4:39: Deployment web: containers[0] must be a map, found nothing",
        ),
        (
            pod("containers: [{image: a}]"),
            "4:39: Deployment web: containers[0] has no name",
        ),
        (
            pod("initContainers: [{image: a}]"),
            "4:43: Deployment web: initContainers[0] has no name",
        ),
        (
            pod("containers: [{name: a, image: 5}]"),
            "4:56: Deployment web: the image of container a must be a string, found the number 5: quote it",
        ),
        (
            pod("containers: [{name: a, image: [a]}]"),
            "4:56: Deployment web: the image of container a must be a string, found a list",
        ),
        (
            pod("containers: [{name: a, image: a, image: b}]"),
            "4:59: Deployment web: the key image stands twice in one map, first on line 4: remove one of them",
        ),
        (
            pod("containers: [{name: a, image: a}], initContainers: [{name: a, image: b}]"),
            "4:85: Deployment web: two containers have the name a",
        ),
        (
            pod("containers: [{name: a, <<: 5}]"),
            "4:53: Deployment web: the merge key << must be a map, found the number 5",
        ),
        (
            pod("containers: [{name: a, <<: {}, <<: {}}]"),
            "4:57: Deployment web: the merge key << stands twice in one map, first on line 4: give it a list",
        ),
        (
            deployment("image: {{ .Values.image }}\n"),
            "10:18: Deployment web: the image of container web must be a string, found a map; `{{` looks like an unrendered template: hikaru reads rendered manifests",
        ),
        (
            "apiVersion: v1\nkind: List\nitems: 5\n".to_owned(),
            "3:8: items must be a list, found the number 5",
        ),
        (
            "a: &a {}\n<<: *b\n".to_owned(),
            "2:5: is no YAML: while parsing node, found unknown anchor",
        ),
    ];
    let mut wrong = String::new();
    for (text, expected) in table {
        let found = super::read_lines(text);
        if found != [*expected] {
            wrong.push_str(&format!(
                "{text}  found {found:?}\n  expected {expected:?}\n"
            ));
        }
    }
    assert_eq!(wrong, "");
}

#[test]
fn one_odd_object_does_not_hide_the_others() {
    reads(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n---\na: [b\n---\nkind: Deployment\napiVersion: apps/v1\n---\n{{- if .Values.x }}\na: b\n{{- end }}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\n",
        &[
            "1 default/Deployment/a",
            "5:4: is no YAML: unclosed bracket '['",
            "7:1: a Deployment without a name: expected metadata.name",
            "10:3: is no YAML: \"-\" is only valid inside a block; `{{` looks like an unrendered template: hikaru reads rendered manifests",
            "5 default/Deployment/b",
        ],
    );
}

#[test]
fn a_directive_is_no_content() {
    reads(
        "%YAML 1.1\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n...\n%TAG !s! tag:yaml.org,2002:\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: !s!str 42}\n",
        &["1 default/Deployment/a", "2 default/Deployment/42"],
    );
}
