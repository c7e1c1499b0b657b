//! hikaru over HTTP. Here live the wire types, which the command prints too; the routes come with the service. Nothing
//! here knows of Kubernetes' API or of files.

pub mod wire;
