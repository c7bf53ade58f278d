// The part of onnxruntime-node that is used here, and of onnxruntime-web. The packages are installed where models run, not where this is compiled.

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

export type OrtTensor = { readonly type: string; readonly dims: readonly number[]; readonly data: TensorData };

export type ValueMetadata = {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
};

export type Session = {
  readonly inputMetadata: readonly ValueMetadata[];
  readonly outputMetadata: readonly ValueMetadata[];
  run(
    feeds: Readonly<Record<string, OrtTensor>>,
    fetches: readonly string[],
  ): Promise<Readonly<Record<string, OrtTensor>>>;
};

export type OrtModule = {
  readonly InferenceSession: { create(pathOrBytes: string | Uint8Array, options: object): Promise<Session> };
  readonly Tensor: new (type: string, data: TensorData, dims: readonly number[]) => OrtTensor;
};
